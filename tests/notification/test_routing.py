"""Who is told what: the tree of routes as Alertmanager walks it, and what is wrong with a text, by line and column."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.api.notification import ChannelName
from kubernaut.notification.decide import Target
from kubernaut.notification.routing import asked_of, labels_of, shipped
from kubernaut.notification.routing_text import read
from kubernaut.policy.document import BrokenPolicy
from tests.notification.pieces import CASE, request
from tests.notification.test_render import made

TREE = """
route:
  receiver: everybody
  routes:
  - matchers: [priority=~"Critical|High", type!="Completion"]
    receiver: pager
    continue: true
  - match: {type: Approval}
    receiver: approvers
    routes:
    - match_re: {environment: "prod.*"}
      receiver: production
    - matchers: ['team=""']
      receiver: nobody-in-particular
  - match: {environment: staging}
    receiver: staging
receivers:
- {name: everybody, recipients: [{channel: slack, address: "#ops"}]}
- {name: pager, recipients: [{channel: pagerduty}]}
- name: approvers
  recipients:
  - {channel: slack, address: "#approvals"}
  - {channel: email, address: ops@example.com}
- {name: production, recipients: [{channel: slack, address: "#prod"}], asAsked: true}
- {name: nobody-in-particular, asAsked: true}
- {name: staging, recipients: [{channel: console}]}
"""
ASKED = (Target(ChannelName.EMAIL, "asked@example.com"),)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({}, ["everybody"]),
        ({"type": "Completion", "priority": "Critical"}, ["everybody"]),
        ({"type": "Escalation", "priority": "Critical"}, ["pager"]),
        ({"type": "Approval", "priority": "Low", "team": "a"}, ["approvers"]),
        ({"type": "Approval", "priority": "Low", "environment": "production"}, ["production"]),
        ({"type": "Approval", "priority": "Low", "environment": "non-prod"}, ["nobody-in-particular"]),
        ({"type": "Approval", "priority": "High", "environment": "prod"}, ["pager", "production"]),
        ({"type": "Escalation", "priority": "Criticality"}, ["everybody"]),
        ({"environment": "staging", "priority": "High"}, ["pager", "staging"]),
    ],
    ids=lambda value: " ".join(f"{key}={each}" for key, each in value.items()) if isinstance(value, dict) else "",
)
def test_the_first_route_that_holds_takes_it_and_continue_asks_on(labels, receivers):
    assert list(read(TREE, "tree").resolve(labels).receivers) == receivers


def test_a_receiver_tells_its_places_and_where_asked_those_that_the_message_asks_for():
    found = read(TREE, "tree").resolve({"type": "Approval", "priority": "High", "environment": "prod"}, ASKED)
    assert [str(target) for target in found.targets] == ["pagerduty", "slack #prod", "email asked@example.com"]
    assert [route.line for route in found.routes] == [5, 11]


def test_the_shipped_routing_sends_every_message_where_it_asks_to_go():
    assert read(shipped(), "shipped").resolve({"type": "Approval"}, ASKED).targets == ASKED


def test_a_message_asks_for_its_channels_at_its_addresses_there():
    places = [{"channel": "slack", "address": "#a"}, {"channel": "slack", "address": "#b"}, {"channel": "email", "address": "x@y.z"}]
    asked = asked_of(request(channels=["slack", "console"], recipients=places))
    assert [str(target) for target in asked] == ["slack #a", "slack #b", "console"]


def test_the_labels_of_a_message_are_its_type_its_priority_its_metadata_and_the_main_details_of_an_escalation():
    assert labels_of(request(metadata={"team": "shop", "priority": "P1"}, **CASE)) == {
        "type": "Simple",
        "priority": "High",
        "casePriority": "P1",
        "team": "shop",
    }
    labels = labels_of(made())
    assert (labels["severity"], labels["environment"], labels["namespace"], labels["alertName"], labels["casePriority"]) == (
        "critical",
        "production",
        "production",
        "PodOOMKilled",
        "P0",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "1:1: the text is empty. Write `route:` and `receivers:`", id="empty"),
        pytest.param("route: [", "1:9: this is no YAML", id="no YAML"),
        pytest.param("- x", "1:1: the routing must be a mapping", id="a list"),
        pytest.param("route: {receiver: a}", "1:1: there is no `receivers:`", id="no receivers"),
        pytest.param("receivers: [{name: a, asAsked: true}]", "1:1: there is no `route:`", id="no route"),
        pytest.param("route: {}\nreceivers: [{name: a, asAsked: true}]", "1:8: the route has no receiver", id="no receiver"),
        pytest.param(
            "route: {receiver: b}\nreceivers: [{name: a, asAsked: true}]", "1:19: there is no receiver 'b'", id="unknown receiver"
        ),
        pytest.param(
            "route: {receiver: a, group_by: [x]}\nreceivers: [{name: a, asAsked: true}]",
            "1:22: a route has no key 'group_by'",
            id="unknown key",
        ),
        pytest.param(
            "route: {receiver: a, match: {x: y}}\nreceivers: [{name: a, asAsked: true}]",
            "1:8: the top route matches every",
            id="top matches",
        ),
        pytest.param(
            "route: {receiver: a, routes: [{receiver: a, matchers: ['x y']}]}\nreceivers: [{name: a, asAsked: true}]",
            "1:57: 'x y' is no matcher",
            id="no matcher",
        ),
        pytest.param(
            "route: {receiver: a, routes: [{receiver: a, matchRe: {x: '('}}]}\nreceivers: [{name: a, asAsked: true}]",
            "'(' is no regular expression",
            id="no pattern",
        ),
        pytest.param(
            "route: {receiver: a, continue: maybe}\nreceivers: [{name: a, asAsked: true}]",
            "1:32: `continue` is true or false",
            id="no flag",
        ),
        pytest.param("route: {receiver: a}\nreceivers: [{name: a}]", "2:13: the receiver has 0 recipients", id="nobody"),
        pytest.param(
            "route: {receiver: a}\nreceivers: [{name: a, asAsked: true}, {name: a, asAsked: true}]",
            "named 'a'. Give it another",
            id="twice",
        ),
        pytest.param(
            "route: {receiver: a}\nreceivers: [{name: a, recipients: [{channel: pigeon}]}]",
            "2:46: there is no channel 'pigeon'",
            id="channel",
        ),
        pytest.param("route: {receiver: a}\nreceivers: [{name: a, recipients: [{}]}]", "the recipient has no channel", id="no channel"),
        pytest.param("route: {receiver: a}\nreceivers: []", "there are 0 receivers", id="no receivers in it"),
        pytest.param("route: " + "{routes: [" * 30, "this is nested too deep", id="deep"),
        pytest.param("a: &x 1\nb: *x", "*x is an alias", id="alias"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_column(text, said):
    with pytest.raises(BrokenPolicy) as fault:
        read(text, "routing.yaml")
    assert said in str(fault.value)
    assert str(fault.value).startswith("routing.yaml:")


def test_all_faults_are_told_at_once():
    with pytest.raises(BrokenPolicy) as fault:
        read("route: {receiver: x, extra: 1}\nreceivers: [{name: y}]", "r")
    assert len(fault.value.problems) == 3


NAMES = st.sampled_from(["type", "team", "environment"])
VALUES = st.sampled_from(["", "a", "b", "ab"])
OPERATORS = st.sampled_from(["=", "!=", "=~", "!~"])
MATCHERS = st.lists(st.tuples(NAMES, OPERATORS, VALUES).map(lambda each: f'{each[0]}{each[1]}"{each[2]}"'), max_size=2)
NODES: st.SearchStrategy[Any] = st.recursive(
    st.tuples(MATCHERS, st.booleans(), st.just([])),
    lambda below: st.tuples(MATCHERS, st.booleans(), st.lists(below, max_size=3)),
    max_leaves=8,
)


def _yaml(node, numbers, indent="  "):
    matchers, goes_on, below = node
    number = next(numbers)
    lines = [f"{indent}receiver: r{number}"]
    if matchers and number:
        lines.append(f"{indent}matchers: {[*matchers]}")
    lines += [f"{indent}continue: {str(goes_on).lower()}"] + ([f"{indent}routes:"] if below else [])
    for each in below:
        inner = _yaml(each, numbers, indent + "  ").splitlines()
        lines += [f"{indent}-{inner[0][len(indent) + 1 :]}", *inner[1:]]
    return "\n".join(lines)


@settings(max_examples=60, deadline=None)
@given(NODES, st.dictionaries(NAMES, VALUES, max_size=3))
def test_every_message_is_told_somebody_and_only_by_routes_that_hold(node, labels):
    text = "route:\n" + _yaml(node, iter(range(1000)))
    names = [word for word in text.split() if word.startswith("r") and word[1:].isdigit()]
    text += "\nreceivers:\n" + "\n".join(f"- {{name: {name}, asAsked: true}}" for name in names)
    found = read(text, "tree").resolve(labels, ASKED)
    assert found.targets == ASKED
    assert all(route.holds(labels) for route in found.routes)
    assert not any(below.holds(labels) for route in found.routes for below in route.routes), "the deepest that holds"

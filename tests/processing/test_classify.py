"""Environment, severity, priority and business fields, decided by the shipped policy and by a user's own."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.api.processing import Alert
from kubernaut.api.signal import Priority, Severity, fallback_priority
from kubernaut.policy.compiled import Policy
from kubernaut.processing.classify import Decision, classify, values_of
from kubernaut.processing.policy import CLASSIFICATION, VARIABLES, shipped
from tests.processing.pieces import around, deployment, pod

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
SHIPPED = Policy(CLASSIFICATION, shipped(), "shipped")
TARGET = {"kind": "Pod", "name": "web-1-a", "namespace": "shop"}


def alert(**changes):
    return Alert(**({"fingerprint": "a" * 64, "payload": "{}", "severity": "critical", "name": "PodCrashLooping"} | changes))


def judged(own="", *, detected=None, signal=None, **surroundings):
    values = values_of(signal or alert(), TARGET, around(**surroundings), detected or {}, NOW)
    policies = (Policy(CLASSIFICATION, own, "own.yaml"), SHIPPED) if own else (SHIPPED,)
    return classify(values, policies)


@pytest.mark.parametrize(
    ("labels", "reported", "decision"),
    [
        pytest.param(
            {"environment": "production"},
            "staging",
            Decision("production", "rule environment-label", "shipped"),
            id="a label wins over the alert",
        ),
        pytest.param({"env": "Staging"}, "", Decision("staging", "rule env-label", "shipped"), id="small letters"),
        pytest.param(
            {"env": "a", "kubernaut.ai/environment": "b"},
            "",
            Decision("b", "rule environment-of-namespace", "shipped"),
            id="our label first",
        ),
        pytest.param(
            {"environment": ""}, "test", Decision("test", "rule environment-of-alert", "shipped", 0.8), id="an empty label says nothing"
        ),
        pytest.param({}, "Production", Decision("production", "rule environment-of-alert", "shipped", 0.8), id="what the alert says"),
        pytest.param({}, "unknown", Decision("unknown", "none", confidence=0.0), id="the alert does not know"),
        pytest.param({"team": "shop"}, "", Decision("unknown", "none", confidence=0.0), id="nobody says"),
    ],
)
def test_the_environment_and_who_says_so(labels, reported, decision):
    assert judged(namespace_labels=labels, signal=alert(environment=reported)).environment == decision


@pytest.mark.parametrize(
    "environment", ["production", "production-eu", "prod", "prd", "live", "staging", "development", "test", "unknown", ""]
)
@pytest.mark.parametrize("severity", list(Severity))
def test_the_shipped_rules_of_priority_are_the_documented_table(severity, environment):
    found = judged(namespace_labels={}, signal=alert(severity=severity, environment=environment))
    assert found.priority.value == fallback_priority(severity, environment)
    assert found.priority.policy == "shipped"


def test_the_documented_table_decides_where_no_rule_does():
    only_environment = Policy(CLASSIFICATION, "rules: [{name: all, set: {environment: production}}]", "own.yaml")
    values = values_of(alert(), TARGET, around(), {}, NOW)
    assert classify(values, (only_environment,)).priority == Decision("P0", "fallback table")
    bare = classify({**values, "alert.environment": "Staging"}, ())
    assert bare.environment == Decision("staging", "alert", confidence=0.8)
    assert bare.severity == Decision("critical", "alert")
    assert bare.priority.value == "P1"


OWN = """\
rules:
- name: night-shop
  match: environment == 'production' && hour < 6 && workload.kind == 'Deployment'
  set: {priority: P1, criticality: low at night, confidence: 0.7}
- name: noise
  match: alert.name.startsWith('Pod') && severity == 'critical'
  set: {severity: warning}
- name: cluster-of-namespace
  match: target.namespace == 'shop'
  set: {environment: PRODUCTION}
"""


def test_the_fields_are_decided_in_order_whatever_the_order_of_the_rules():
    found = judged(OWN, namespace_labels={"environment": "test"})
    assert found.environment == Decision("production", "rule cluster-of-namespace", "own.yaml")
    assert found.severity == Decision("warning", "rule noise", "own.yaml")
    assert found.priority == Decision("P1", "rule night-shop", "own.yaml", 0.7)
    assert found.business["criticality"] == Decision("low at night", "rule night-shop", "own.yaml", 0.7)
    assert found.faults == ()


def test_the_shipped_policy_decides_what_the_own_one_leaves_open():
    own = "rules: [{name: mine, match: \"alert.name == 'Other'\", set: {priority: P3}}]"
    found = judged(own, namespace_labels={"environment": "production", "team": "payments"})
    assert (found.priority.value, found.priority.policy) == ("P0", "shipped")
    assert found.business == {"businessUnit": Decision("payments", "rule usual-labels-of-namespace", "shipped", 0.9)}


def test_an_own_rule_sees_the_environment_that_the_shipped_policy_decided():
    own = "rules: [{name: mine, match: \"environment == 'production'\", set: {priority: P3}}]"
    assert judged(own, namespace_labels={"environment": "production"}).priority.value == "P3"


def test_a_rule_that_cannot_be_evaluated_falls_to_the_next_and_is_told():
    own = "rules:\n- name: mine\n  match: namespaceLabels.cluster == 'x'\n  set: {priority: P3}\n- name: next\n  set: {priority: P2}"
    found = judged(own)
    assert (found.priority.value, found.priority.source) == ("P2", "rule next")
    assert found.faults == (
        "own.yaml:3:10: rule mine did not count: there is no key 'cluster'. Ask `'cluster' in …` first, or write `[?'cluster'].orValue('')`",
    )


def test_rules_behind_the_one_that_decides_are_not_complained_about():
    own = "rules:\n- name: first\n  set: {priority: P2}\n- name: mine\n  match: namespaceLabels.cluster == 'x'\n  set: {priority: P3}"
    assert judged(own).faults == ()


@pytest.mark.parametrize(
    ("workload", "namespace", "reported", "unit"),
    [
        pytest.param(
            {"kubernaut.ai/business-unit": "w"}, {"kubernaut.ai/business-unit": "n"}, {"team": "a"}, "w", id="our label on the workload"
        ),
        pytest.param({"team": "w"}, {"business-unit": "n"}, {}, "n", id="any label of the workload's does not count"),
        pytest.param({}, {"team": "n"}, {"team": "a"}, "n", id="the namespace before the alert"),
        pytest.param({}, {"team": ""}, {"team": "a"}, "a", id="an empty label says nothing"),
        pytest.param({}, {}, {}, None, id="nobody says"),
    ],
)
def test_whose_business_it_is_comes_from_the_first_labels_that_say_so(workload, namespace, reported, unit):
    found = judged(workload=deployment(labels=workload), namespace_labels=namespace, signal=alert(labels=reported))
    assert (found.business.get("businessUnit").value if "businessUnit" in found.business else None) == unit


def test_every_variable_has_a_value_of_its_type():
    values = values_of(alert(), TARGET, around(pods=(pod(), pod("b", ready=False))), {"stateful": "true"}, NOW)
    assert values.keys() == VARIABLES.keys()
    assert all(type(value) is VARIABLES[name].type.python for name, value in values.items())
    assert (values["pods"], values["unreadyPods"], values["hour"], values["weekday"]) == (2, 1, 4, 0)


TEXTS = st.dictionaries(st.sampled_from(["environment", "env", "team", "tier", "sla", "x"]), st.text(max_size=300), max_size=4)


@settings(deadline=None)
@given(labels=TEXTS, reported=st.text(max_size=300), severity=st.sampled_from(Severity), marks=TEXTS)
def test_whatever_a_cluster_holds_a_classification_comes_out(labels, reported, severity, marks):
    found = judged(namespace_labels=labels, signal=alert(severity=severity, environment=reported, labels=marks))
    assert 0 < len(found.environment.value) <= 63
    assert found.priority.value in list(Priority)
    assert found.severity.value == severity
    assert all(0 <= each.confidence <= 1 for each in (found.environment, found.severity, found.priority, *found.business.values()))

"""`kubernaut routes test`: who would be told, and what is wrong with a routing."""

import pytest
import yaml
from typer.testing import CliRunner

from kubernaut.cli.main import app

ROUTES = """route:
  receiver: everybody
  routes:
  - matchers: [priority=~"Critical|High"]
    receiver: pager
    continue: true
  - match: {type: Approval}
    receiver: approvers
receivers:
- name: everybody
  asAsked: true
- name: pager
  recipients: [{channel: pagerduty}]
- name: approvers
  recipients: [{channel: slack, address: "#approvals"}]
"""


@pytest.fixture
def run(tmp_path):
    def run(text, *labels):
        file = tmp_path / "routing.yaml"
        file.write_text(text, encoding="utf-8")
        result = CliRunner().invoke(app, ["routes", "test", str(file), *(word for label in labels for word in ("--labels", label))])
        return result.exit_code, result.output.replace(str(file), "FILE")

    return run


def test_it_names_receivers_places_and_the_routes_that_led_there(run):
    assert run(ROUTES, "priority=High,type=Approval") == (
        0,
        'pager  (route in line 4: priority=~"Critical|High")\n  pagerduty\napprovers  (route in line 7: type="Approval")\n  slack #approvals\n',
    )


def test_what_no_route_takes_goes_to_the_top(run):
    assert run(ROUTES, "priority=Low", "type=Completion") == (
        0,
        "everybody  (route in line 2: every message)\n  and where the message itself asks to go\n",
    )


def test_a_config_map_holds_a_routing(run):
    held = yaml.safe_dump({"kind": "ConfigMap", "data": {"routing.yaml": ROUTES}})
    assert run(held, "priority=High")[1].startswith("pager ")


@pytest.mark.parametrize(
    ("text", "labels", "said"),
    [
        ("route: {receiver: x}\nreceivers: []", (), "FILE:1:19: there is no receiver 'x'"),
        ("a: [", (), "FILE:1:5: this is no YAML"),
        ("kind: ConfigMap\ndata: {}\n", (), "FILE: the ConfigMap has no key 'routing.yaml'"),
        (ROUTES, ("priority",), "'priority' is no label: write name=value"),
    ],
    ids=["broken", "no YAML", "an empty ConfigMap", "no label"],
)
def test_what_cannot_be_used_is_told_with_exit_code_two(run, text, labels, said):
    code, told = run(text, *labels)
    assert code == 2
    assert said in told


def test_a_file_that_is_not_there_is_told(tmp_path):
    result = CliRunner().invoke(app, ["routes", "test", str(tmp_path / "none")])
    assert (result.exit_code, "No such file" in result.output) == (2, True)

"""`kubernaut rehearse`: every step that would follow an alert, and nothing done."""

import json
from typing import Any

import pytest
import yaml

from tests.analysis.world import CRASHED, NS, World, crash_loop
from tests.cli.saved import SICK, WELL, kubernaut, objects, save

LABELS = {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": NS, "pod": "checkout-hash1-0"}
ALERT = {"status": "firing", "labels": LABELS, "annotations": {}, "startsAt": "2026-03-02T11:58:00Z"}


@pytest.fixture
def file(tmp_path):
    """Give a function that writes an alert file."""

    def write(content: Any):
        (tmp_path / "alert.json").write_text(json.dumps(content))
        return tmp_path / "alert.json"

    return write


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """Give a directory with a Deployment that is OOM-killed, in production."""
    return save(tmp_path_factory.mktemp("sick"), *objects(SICK))


def steps(*arguments: object) -> list[dict[str, Any]]:
    """Return the steps of the only play."""
    plays: list[dict[str, Any]] = json.loads(kubernaut("rehearse", *arguments, "-o", "json").stdout)["plays"]
    [play] = plays
    found: list[dict[str, Any]] = play["steps"]
    return found


def stages(*arguments: object) -> list[str]:
    return [step["stage"] for step in steps(*arguments)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"version": "4", "status": "firing", "alerts": [ALERT]}, id="a webhook body"),
        pytest.param(ALERT, id="one alert"),
        pytest.param([ALERT | {"status": {"state": "active"}}], id="as amtool prints them"),
        pytest.param({"labels": LABELS}, id="labels alone"),
    ],
)
def test_an_alert_is_played_through_all_stages(sick, file, content):
    found = steps(file(content), "--from-dump", sick)
    assert [step["stage"] for step in found] == ["gateway", "processing", "analysis", "selection", "approval", "workflow", "verification"]
    gateway, processing, analysis, selection, approval, workflow, _ = found
    assert "its owner is what counts: shop/deployment/checkout" in gateway["details"]
    assert processing["object"]["status"]["enrichedSignal"]["environment"] == "production"
    assert analysis["says"].startswith("OOMKilled")
    assert "MEMORY_LIMIT = 256Mi" in selection["details"]
    assert approval["object"]["spec"]["policyEvaluation"]["matchedRules"][0] == "production"
    assert {"name": "MEMORY_LIMIT", "value": "256Mi"} in workflow["object"]["spec"]["params"]


def test_the_steps_are_told_in_words(sick):
    text = kubernaut("rehearse", "--deployment", "checkout", "-n", NS, "--from-dump", sick).stdout
    assert text.startswith("Rehearsal on shop/deployment/checkout")
    assert "must say yes until" in text
    assert "PipelineRun kubernaut-workflows/" in text
    assert text.endswith("Nothing was changed.\n")


def test_the_objects_that_would_be_made_are_written_as_yaml(sick):
    made = yaml.safe_load_all(kubernaut("rehearse", "--target", "po/checkout-hash1-0", "-n", NS, "--from-dump", sick, "-o", "yaml").stdout)
    assert [obj["kind"] for obj in made] == [
        "RemediationRequest", "RemediationProcessing", "AIAnalysis", "AIApprovalRequest", "PipelineRun", "EffectivenessAssessment",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("world", "environment", "expected"),
    [
        pytest.param(WELL, "production", ["gateway", "processing", "analysis", "orchestration"], id="nothing is to be done"),
        pytest.param(
            World(statuses=[[crash_loop(CRASHED)]] * 3), "staging", ["gateway", "processing", "analysis", "orchestration"], id="a person must act"
        ),
        pytest.param(
            SICK, "staging", ["gateway", "processing", "analysis", "selection", "approval", "workflow", "verification"], id="it runs by itself"
        ),
    ],
)  # fmt: skip
def test_what_follows_depends_on_what_is_found(tmp_path, world, environment, expected):
    assert stages("--deployment", "checkout", "-n", NS, "--from-dump", save(tmp_path, *objects(world, environment))) == expected


def test_typed_steps_are_played_where_the_settings_say_so(sick, tmp_path):
    (tmp_path / "settings.yaml").write_text("analysis: {mode: steps}\norchestration: {verification: false}\n")
    arguments = ("--deployment", "checkout", "-n", NS, "--from-dump", sick, "--config", tmp_path / "settings.yaml")
    *_, selection, _, execution = steps(*arguments)
    assert selection["says"] == "IncreaseMemoryLimits as 1 typed step"
    assert execution["object"]["spec"]["workflowDefinition"]["steps"][0]["action"] == "increase_resources"


def test_an_object_that_did_not_opt_in_is_told(tmp_path, sick):
    arguments = ("--deployment", "checkout", "-n", NS, "--from-dump")
    assert any("gateway.managed_only" in line for line in steps(*arguments, sick)[0]["details"])
    found = objects(SICK)
    found[0]["metadata"]["labels"]["kubernaut.ai/managed"] = "true"
    assert not any("gateway.managed_only" in line for line in steps(*arguments, save(tmp_path, *found))[0]["details"])


def test_a_case_that_is_open_would_be_counted_on(tmp_path):
    found = objects(SICK)
    [made] = [
        step["object"]
        for step in steps("--deployment", "checkout", "-n", NS, "--from-dump", save(tmp_path / "before", *found))
        if step["stage"] == "gateway"
    ]
    made["metadata"]["name"] = "remediation-known00000"
    again = steps("--deployment", "checkout", "-n", NS, "--from-dump", save(tmp_path / "after", *found, made))
    assert "it would be counted on remediation-known00000, which is open (Pending); else this follows" in again[0]["details"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param({"labels": {"alertname": "A", "namespace": NS}} | {"status": "resolved"}, "no alert fires", id="resolved"),
        pytest.param({"labels": {"namespace": NS, "pod": "x"}}, "alert 1: the alert has no label alertname", id="without a name"),
        pytest.param({"labels": {"alertname": "A"}}, "alert 1: no label names a Kubernetes object", id="about nothing"),
        pytest.param([], "alerts must be a list with at least one alert", id="none"),
    ],
)
def test_an_alert_that_cannot_be_played_is_told(sick, file, content, says):
    assert says in kubernaut("rehearse", file(content), "--from-dump", sick, code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "say what to play", id="nothing"),
        pytest.param(["alert.json", "--deployment", "x"], "not both", id="two things"),
        pytest.param(["--deployment", "x", "-o", "xml"], "there is no output 'xml'", id="an unknown output"),
    ],
)
def test_what_is_asked_wrongly_is_told(arguments, says):
    assert says in kubernaut("rehearse", *arguments, code=2).stderr


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "No such file" in kubernaut("rehearse", tmp_path / "none.json", code=1).stderr
    (tmp_path / "text.json").write_text("no json")
    assert "no JSON" in kubernaut("rehearse", tmp_path / "text.json", code=1).stderr

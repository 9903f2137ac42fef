"""`kubernaut policy test`: what is wrong with policies, workflows and samples, by file, line and column."""

import re
from pathlib import Path

import pytest

import kubernaut as kubernaut_package
from tests.cli.saved import kubernaut

APPROVAL = """\
rules:
- name: critical-out-of-hours
  match: severity == 'critical' && (weekday > 4 || hour < 9 || hour >= 17)
  set: {approvers: 2, timeout: 24h, why: two people look at critical changes out of hours}
"""
CLASSIFICATION = """\
rules:
- name: checkout-first
  match: target.name == 'checkout'
  set: {priority: P0}
"""
CASE = """\
- name: a shop at night
  alert: {severity: critical}
  namespaceLabels: {environment: production}
  at: 2026-03-02T03:00:00Z
  diagnosis:
    cause: OOMKilled
    confidence: 0.95
    target: {kind: Deployment, name: checkout, namespace: shop, labels: {team: shop}}
    action: IncreaseMemoryLimits
    facts: {container: app, memory.limit.proposed: 256Mi}
  expect:
    environment: production
    priority: P0
    workflow: increase-memory-conservative
    parameters: {MEMORY_LIMIT: 256Mi}
    next: ask
    decision: ManualReviewRequired
    rule: production
    approvers: 2
    timeout: 24h
"""
WORKFLOW = """\
apiVersion: kubernaut.ai/v1alpha1
kind: RemediationWorkflow
metadata: {name: grow-1.0.0}
spec:
  workflowId: grow
  version: 1.0.0
  description: Grows.
  actionType: IncreaseMemoryLimits
  execution: {bundle: "r.example/w@sha256:%s"}
  parameters:
  - {name: LIMIT, type: quantity, fromFact: memory.limit.proposed}
""" % ("b" * 64)


@pytest.fixture
def tried(tmp_path):
    """Give a function that writes files and tries them; it returns what was told, without the directory."""

    def run(code: int = 0, **files: str) -> list[str]:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return kubernaut("policy", "test", tmp_path, code=code).stdout.replace(f"{tmp_path}/", "").splitlines()

    return run


def config_map(text: str, name: str = "ai-approval-policies") -> str:
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  policy.yaml: |\n{lines}"


def test_policies_and_the_shipped_catalogue_are_tried_on_a_case(tried):
    assert tried(approval=APPROVAL, samples=CASE) == ["1 policy, 1 sample: all is well"]


def test_policies_may_stand_in_config_maps_and_several_documents_in_one_file(tried):
    text = "---\n".join([config_map(APPROVAL), config_map(CLASSIFICATION, "kubernaut-classification"), WORKFLOW])
    assert tried(all=text) == ["2 policies, 1 workflow: all is well"]


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        pytest.param(("priority: P0", "priority: P1"), "13:15", "expects priority to be 'P1', but it is 'P0'", id="the priority"),
        pytest.param(
            ("increase-memory-conservative", "grow"), "14:15", "to be 'grow', but it is 'increase-memory-conservative'", id="workflow"
        ),
        pytest.param(("MEMORY_LIMIT: 256Mi", "MEMORY_LIMIT: 1Gi"), "15:17", "but it is {'MEMORY_LIMIT': '256Mi'}", id="a parameter"),
        pytest.param(("next: ask", "next: run"), "16:11", "expects next to be 'run', but it is 'ask'", id="what follows"),
        pytest.param(("approvers: 2", "approvers: 3"), "19:16", "(rules that hold: production, critical-out-of-hours,", id="the approvers"),
        pytest.param(("confidence: 0.95", "confidence: 95"), "7:17", "diagnosis.confidence: Input should be less than", id="a bad value"),
        pytest.param(("rule: production", "rool: production"), "18:11", "expect.rool: Extra inputs are not permitted", id="an unknown key"),
    ],
)
def test_what_comes_otherwise_than_expected_is_told_by_its_place(tried, change, line, says):
    told, summary = tried(1, approval=APPROVAL, samples=CASE.replace(*change))
    assert told.startswith(f"samples.yaml:{line}: ")
    assert says in told
    assert summary.endswith(": 1 wrong")


def test_a_case_without_a_diagnosis_says_what_the_alert_counts_as(tried):
    case = "- {name: a, alert: {target: {kind: Pod, name: checkout, namespace: x}}, expect: {priority: P0}}\n"
    assert tried(own=CLASSIFICATION, samples=case) == ["1 policy, 1 sample: all is well"]
    told, _ = tried(1, own=CLASSIFICATION, samples=case.replace("expect: {", "expect: {workflow: grow, "))
    assert "workflow follows from a diagnosis, and the case has none" in told


def test_a_target_outside_the_signal_is_asked_about(tried):
    case = CASE.replace("severity: critical}", "severity: critical, target: {kind: Pod, name: other, namespace: shop}}")
    case = case.replace("environment: production", "environment: dev").partition("  expect:")[0] + "  expect: {rule: outside-the-signal}\n"
    assert tried(samples=case) == ["1 sample: all is well"]


def test_a_catalogue_of_ones_own_stands_in_for_the_shipped_one(tried):
    told = tried(1, workflow=WORKFLOW, samples=CASE)
    assert "to be 'increase-memory-conservative', but it is 'grow'" in told[0]


def test_no_fit_says_why(tried):
    told = tried(1, workflow=WORKFLOW.replace("  parameters:", "  labels: {environment: [dev]}\n  parameters:"), samples=CASE)
    assert any("but it is none" in line and "grow 1.0.0: it is for environment dev, and this is production" in line for line in told)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param(APPROVAL.replace("severity", "sevority"), "3:10", "undeclared reference to 'sevority'", id="a misspelt variable"),
        pytest.param(
            config_map(APPROVAL.replace("approvers: 2", "approvers: 9")), "9:24", "approvers: Input should be less", id="in a ConfigMap"
        ),
        pytest.param("a: [", "1:5", "this is no YAML", id="no YAML"),
        pytest.param("kind: Pod\n", "1:1", "a Pod is neither policy", id="another kind"),
        pytest.param("just: words\n", "1:1", "this is neither policy", id="nothing known"),
        pytest.param(
            WORKFLOW.replace("workflowId: grow", "workflowId: G"), "5:15", "spec.workflowId: String should match", id="a bad workflow"
        ),
        pytest.param(
            WORKFLOW.replace("type: quantity", "type: quantity, default: much"), "11:5", "parameter LIMIT: its default", id="its default"
        ),
        pytest.param(
            "- {name: a, given: {severity: x}, expect: {decision: Denied}}\n", "1:3", "no approval policy among the files", id="alone"
        ),
    ],
)
def test_what_is_at_fault_is_told_by_its_place(tried, text, line, says):
    told = tried(1, file=text)
    assert told[0].startswith(f"file.yaml:{line}: ")
    assert says in told[0]


def test_a_rule_that_cannot_be_evaluated_for_a_case_is_told(tried):
    rules = "rules:\n- {name: team, match: \"labels['absent'] == 'x'\", set: {decision: Denied}}\n"
    told = tried(1, approval=rules, samples=CASE.partition("  expect:")[0] + "  expect: {priority: P0}\n")
    assert "rule team did not count: there is no key 'absent'" in told[0]


def test_samples_of_one_policy_are_tried_on_it(tried):
    samples = "- {name: night, given: {severity: critical, hour: 3}, expect: {approvers: 2, decision: null}}\n"
    assert tried(approval=APPROVAL, samples=samples) == ["1 policy, 1 sample: all is well"]
    told, _ = tried(1, approval=APPROVAL, samples=samples.replace("hour: 3", "hour: 10"))
    assert told.startswith("samples.yaml:1:3: sample 'night' expects approvers to be 2, but no rule sets it")


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "No such file" in kubernaut("policy", "test", tmp_path / "none.yaml", code=1).stderr


def test_the_case_of_the_handbook_holds(tried):
    page = (Path(kubernaut_package.__file__).parent.parent.parent / "docs/approval.md").read_text(encoding="utf-8")
    [case] = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "diagnosis:" in block]
    assert tried(case=case) == ["1 sample: all is well"]

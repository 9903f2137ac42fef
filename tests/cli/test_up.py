"""What a user does beside a running `kubernaut up`: kubectl's everyday verbs, and kubernaut's own."""

import pytest

from kubernaut.api.kinds import ALL

SYSTEM = ("-n", "kubernaut-system")
QUESTION = """
apiVersion: v1
kind: ConfigMap
metadata: {name: note, namespace: default}
data: {key: one}
"""


@pytest.fixture(scope="module")
def case(up):
    """Give the name of the case that the story raises, once it waits for a person."""
    name = up.watched("get", "rr", "-w", *SYSTEM, "-o", "name", until="remediation-").split("/", 1)[1]
    up.kubectl("wait", *SYSTEM, f"rr/{name}", "--for=jsonpath={.status.overallPhase}=AwaitingApproval", "--timeout=40s")
    return name


def test_kubectl_lists_our_kinds_with_their_columns(up, case):
    text = up.kubectl("get", "rr,aia,aar", "-A")
    assert f"remediationrequest.kubernaut.ai/{case}" in text
    for word in ("PHASE", "OUTCOME", "KubePodCrashLooping", "production/deployment/payment-service", "OOMKilled"):
        assert word in text


def test_kubectl_describes_and_explains(up, case):
    described = up.kubectl("describe", "rr", case, *SYSTEM)
    assert "PhaseTransition" in described
    assert "Overall Phase:" in described
    explained = up.kubectl("explain", "aianalysis.status")
    assert "rootCauseAnalysis" in explained
    assert "What was found." in explained


def test_kubectl_watches(up, case):
    up.kubectl("apply", "-f", "-", stdin=QUESTION)
    assert up.watched("get", "cm", "-w", "-n", "default", "--output-watch-events", until="note").startswith("ADDED")
    assert case in up.watched("get", "rr", "-w", *SYSTEM, until=case)


def test_kubectl_applies_edits_labels_and_deletes(up):
    up.kubectl("apply", "-f", "-", stdin=QUESTION)
    assert "configured" in up.kubectl("apply", "-f", "-", stdin=QUESTION.replace("one", "two"))
    assert "unchanged" in up.kubectl("apply", "-f", "-", stdin=QUESTION.replace("one", "two"))
    up.kubectl("label", "cm", "note", "-n", "default", "colour=red")
    assert up.kubectl("get", "cm", "-n", "default", "-l", "colour=red", "-o", "jsonpath={.items[0].data.key}") == "two"
    assert "deleted" in up.kubectl("delete", "cm", "note", "-n", "default")


def test_a_bad_object_is_refused_with_what_is_wrong(up):
    refused = up.kubectl(
        "apply", "--validate=false", "-f", "-", code=1,
        stdin="{apiVersion: kubernaut.ai/v1alpha1, kind: RemediationWorkflow, metadata: {name: x, namespace: default}, spec: {workflowId: X}}",
    )  # fmt: skip
    assert "spec.workflowId" in refused
    assert "spec.version: Required value" in refused


def test_nobody_decides_for_somebody_else(up, case):
    patch = '{"status":{"decision":"Approved","decidedBy":"somebody-else","decidedVia":"kubectl"}}'
    approval = f"approval-{case}-analysis"
    refused = up.kubectl("patch", "aar", approval, *SYSTEM, "--subresource=status", "--type=merge", "-p", patch, code=1)
    assert "decidedBy must be your own user name" in refused


def test_a_second_one_on_the_same_state_is_refused(up):
    assert "another kubernaut runs" in up.kubernaut("up", "--free-ports", code=1)


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        pytest.param(
            ("approve", "remediation-nosuch"), "no approval request or remediation is called", 1, id="approving what is not there"
        ),
        pytest.param(("describe", "remediation-nosuch"), "there is no case", 1, id="describing what is not there"),
        pytest.param(("timeline", "remediation-nosuch"), "nothing is on record", 1, id="a trail that is not there"),
        pytest.param(("run", "gatway"), "there are no parts gatway", 2, id="a part that does not exist"),
        pytest.param(("up", "--off", "podz"), "there are no stand-ins podz", 2, id="a stand-in that does not exist"),
        pytest.param(("demo", "--path", "magic"), "catalogue or steps", 2, id="a path that does not exist"),
        pytest.param(("get", "--kubeconfig", "/nowhere"), "/nowhere", 1, id="a kubeconfig that is not there"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(up, arguments, says, code):
    text = up.kubernaut(*arguments, code=code)
    assert says in text
    assert "Traceback" not in text


def test_a_person_looks_for_themselves_and_nothing_is_changed(up, case):
    found = up.kubernaut("investigate", "deploy/payment-service", "-n", "production")
    assert "● OOMKilled" in found
    assert "a person is asked first: changes in production are approved by a person" in found
    before = up.kubectl("get", "rr,aia,aar,wfe,pr,deploy", "-A", "-o", "name")
    played = up.kubernaut("rehearse", "--deployment", "payment-service", "-n", "production")
    assert f"it would be counted on {case}, which is open (AwaitingApproval); else this follows" in played
    assert "increase-memory-conservative" in played
    assert up.kubectl("get", "rr,aia,aar,wfe,pr,deploy", "-A", "-o", "name") == before


def test_the_case_goes_to_its_end_by_the_users_own_commands(up, case):
    assert case in up.kubernaut("get")
    assert f"approval-{case}-analysis" in up.kubernaut("approvals")
    assert "nothing was decided" in up.at_terminal("approve", case, typed="n\n")
    said = up.kubernaut("approve", case, "-m", "go ahead")
    for words in ("-            memory: 128Mi", "+            memory: 256Mi", "pods replaced: payment-service-", "exact: what stood there"):
        assert words in said
    assert "approved by oncall@example.com" in said
    assert "nothing waits for a decision" in up.kubernaut("approvals")
    assert "a decision is final" in up.kubernaut("reject", case, code=1)
    up.kubectl("wait", *SYSTEM, f"rr/{case}", "--for=condition=Ended", "--timeout=60s")
    text = up.kubernaut("describe", case)
    assert "Completed (Remediated)" in text
    assert "WorkflowExecution" in text
    trail = up.kubernaut("timeline", case)
    for words in ("oncall@example.com", "ApprovalDecided", "go ahead", "Verifying → Completed"):
        assert words in trail


def test_definitions_are_written_ready_for_kubectl(up):
    applied = up.kubectl("apply", "--dry-run=server", "-f", "-", stdin=up.kubernaut("crds"))
    assert applied.count("configured (server dry run)") == len(ALL)

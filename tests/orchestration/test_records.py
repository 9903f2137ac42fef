"""The remediation record: what is in it, and how it comes to data storage whatever becomes of that meanwhile."""

from datetime import timedelta

import pytest

from kubernaut.api.audit import RemediationAudit
from kubernaut.api.base import JournalEntry
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube import metrics
from kubernaut.orchestration.records import audit_of, deliver, records
from kubernaut.orchestration.report import digest
from kubernaut.outbound import JsonService, Undeliverable
from tests.orchestration.cases import NAME, T0
from tests.orchestration.staging import RR
from tests.orchestration.storage import Storage
from tests.world import eventually

PHASES = ["processing", "analyzing", "completed"]
MOVED = JournalEntry(ordinal=0, at=T0, reason="PhaseTransition", data={"from": "Pending", "to": "Processing"})


def remembered(case):
    """Return the request as a pass leaves it: with what it remembers of its stage objects."""
    request = case.request
    digest(request, case.family)
    return request


def test_the_record_leaves_out_what_is_not_known(case):
    case.status = {"overallPhase": "Processing", "startTime": T0}
    assert audit_of(remembered(case.processed("Enriching"))).wire() == {
        "alertFingerprint": "a" * 64,
        "remediationName": NAME,
        "overallPhase": "processing",
        "startTime": "2026-01-01T12:00:00Z",
        "serviceCrdStatuses": [
            {
                "serviceType": "RemediationProcessing",
                "crdName": f"{NAME}-processing",
                "phase": "enriching",
                "startTime": "2026-01-01T12:00:00Z",
            }
        ],
    }


ENDED = {
    "overallPhase": "TimedOut",
    "startTime": T0,
    "completionTime": T0,
    "timeoutPhase": "ai-analysis",
    "failureReason": "TimedOut: late",
}


def test_the_record_of_an_end_says_how_and_those_of_phases_before_it_do_not(case):
    case.status = ENDED
    ended = MOVED.model_copy(update={"ordinal": 2, "data": {"to": "TimedOut"}})
    other = MOVED.model_copy(update={"ordinal": 1, "reason": "AIAnalysisCreated"})
    first, last = (each.wire() for each in records(remembered(case.processed().analysed("Failed", completedAt=T0)), [MOVED, other, ended]))
    assert (first["overallPhase"], set(first) & {"completionTime", "timeoutPhase", "failureReason"}) == ("processing", set())
    assert (last["overallPhase"], last["timeoutPhase"], last["failureReason"]) == ("timedout", "ai-analysis", "TimedOut: late")
    assert [row["serviceType"] for row in last["serviceCrdStatuses"]] == ["RemediationProcessing", "AIAnalysis"]
    assert last["serviceCrdStatuses"][1]["completionTime"] == "2026-01-01T12:00:00Z"


def test_a_deletion_is_told_in_the_phase_it_came_in(case):
    case.status = ENDED
    deleted = MOVED.model_copy(update={"reason": "RemediationRequestDeleted", "data": {}})
    assert [each.overall_phase for each in records(case.request, [deleted])] == ["timedout"]


def test_objects_of_earlier_attempts_are_told_as_they_ended_before_those_of_this_one(case):
    case.status = {
        "overallPhase": "Executing",
        "aiAnalysisRefs": [{"name": f"{NAME}-analysis", "phase": "Completed", "createdAt": T0}],
        "workflowExecutionRefs": [
            {"name": f"{NAME}-wfe", "phase": "Failed", "startTime": T0, "completionTime": T0 + timedelta(minutes=1)},
            {"name": f"{NAME}-wfe-1", "phase": "Running", "attemptNumber": 1},
        ],
        "children": {"WorkflowExecution": {"name": f"{NAME}-wfe-1", "phase": "Running", "startTime": T0}},
    }
    rows = audit_of(case.request).service_crd_statuses
    assert [(each.service_type, each.crd_name, each.phase, each.completion_time) for each in rows] == [
        ("AIAnalysis", f"{NAME}-analysis", "completed", None),
        ("WorkflowExecution", f"{NAME}-wfe", "failed", T0 + timedelta(minutes=1)),
        ("WorkflowExecution", f"{NAME}-wfe-1", "running", None),
    ]


def test_a_record_has_room_for_all_objects_that_a_request_can_remember(case):
    fields = "remediationProcessingRefs", "aiAnalysisRefs", "workflowExecutionRefs", "kubernetesExecutionRefs"
    case.status = {field: [{"name": f"{field}-{number}", "attemptNumber": number} for number in range(10)] for field in fields}
    case.status["children"] = {"EffectivenessAssessment": {"name": "ea"}, "AIApprovalRequest": {"name": "approval"}}
    rows = audit_of(case.request).service_crd_statuses
    assert (len(rows), rows[0].crd_name, rows[-1].crd_name) == (42, "remediationProcessingRefs-0", "ea")


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        pytest.param(201, False, id="taken"),
        pytest.param(400, True, id="refused by somebody in between"),
        pytest.param(401, True, id="a token that has run out"),
        pytest.param(503, True, id="away"),
    ],
)
async def test_a_record_is_posted_where_the_document_says_until_it_is_taken(case, serve, answer, again):
    service = await serve(answer)
    case.status = {"overallPhase": "Processing", "startTime": T0}
    client = JsonService(service.url)
    try:
        await deliver(client, case.request, [MOVED])
        raised = False
    except Undeliverable:
        raised = True
    await client.close()
    ((path, _, body),) = service.requests
    assert (path, raised) == ("/api/v1/audit/remediation", again)
    assert RemediationAudit.model_validate(body) == audit_of(case.request)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("hangs", [pytest.param(False, id="away"), pytest.param(True, id="hangs")])
async def test_a_case_goes_on_to_its_end_without_data_storage_which_hears_of_all_of_it_in_order_when_it_is_back(stage, hangs):
    storage = Storage()
    storage.away = not hangs
    storage.up.clear()
    async with stage.orchestrator(records=storage):
        await stage.open()
        await stage.planned(phase="Completed", actionRequired=False)
        ended = await stage.until(overallPhase="Completed")
        await stage.skip(hours=1)
        await storage.asked.wait()
        pending = len(ended["journal"]["pending"])
        assert (storage.got, pending) == ([], ended["journal"]["count"])
        assert metrics.JOURNAL_PENDING.labels("RemediationRequest")._value.get() == pending, "the backlog is visible"
        storage.away = False
        storage.up.set()
        await storage.told("completed")
        await eventually(lambda: drained(stage))
    phases = [each["overallPhase"] for each in storage.got]
    assert list(dict.fromkeys(phases[phases.index("processing") :])) == PHASES
    assert phases == sorted(phases, key=PHASES.index)


async def drained(stage):
    found = await stage.get(RemediationRequest, RR)
    return not found["status"]["journal"].get("pending")

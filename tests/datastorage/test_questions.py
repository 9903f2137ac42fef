"""What data storage answers: events by what they say, the timeline of a case, a target's history, how often workflows helped."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.datastorage.place import T0, answer, event, everything

TARGET = "shop/deployment/cart"


def at(minutes):
    return (T0 + timedelta(minutes=minutes)).isoformat()


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param({"target": TARGET}, [1, 4], id="target"),
        pytest.param({"text": "OOM"}, [2], id="text, in any case"),
        pytest.param({"text": "100%"}, [3], id="text with a sign that LIKE knows"),
        pytest.param({"text": "100_"}, [], id="text with another"),
        pytest.param({"event_outcome": "failure"}, [3, 4], id="outcome"),
        pytest.param({"event_type": "analysis.done", "correlation_id": "remediation-b"}, [2], id="type and case"),
        pytest.param({"since": at(2), "until": at(4)}, [2, 3], id="time"),
        pytest.param({"namespace": "shop", "actor_id": "kim"}, [4], id="namespace and actor"),
        pytest.param({"namespace": ""}, [1, 2, 3, 4], id="an empty parameter is none"),
    ],
)
async def test_events_are_found_by_what_they_say(http, params, expected):
    changes = [
        {"target": TARGET},
        {"message": "killed: oom at the limit", "event_type": "analysis.done", "correlation_id": "remediation-b"},
        {"message": "memory at 100% of it", "event_outcome": "failure"},
        {"target": TARGET, "event_outcome": "failure", "namespace": "shop", "actor_id": "kim"},
    ]
    body = [event(number, event_timestamp=at(number), **each) for number, each in enumerate(changes, 1)]
    await answer(await http.post("/api/v1/audit/events/batch", json=body), 201)
    assert [each["event_id"] for each in await everything(http, **params)] == [str(UUID(int=number)) for number in expected]


async def test_pages_stay_what_they_are_while_more_is_stored(http):
    await answer(await http.post("/api/v1/audit/events/batch", json=[event(number, event_timestamp=at(1)) for number in range(10)]), 201)
    seen, cursor = [], ""
    for number in range(100, 110):
        page = await answer(await http.get("/api/v1/audit/events", params={"limit": "2", "cursor": cursor}))
        seen += [UUID(each["event_id"]).int for each in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
        await answer(await http.post("/api/v1/audit/events", json=event(number, event_timestamp=at(0))), 201)
    assert seen == [*range(10)]


async def a_case(http, name, minutes, verdict, workflow="restart"):
    """Record a case on the target: its beginning, its workflow's end, whether it helped, its own end."""
    number = minutes * 10
    ended = "completed" if verdict == "Effective" else "failed"
    events = [
        event(number, correlation_id=name, target=TARGET, event_timestamp=at(minutes)),
        event(
            number + 1,
            correlation_id=name,
            event_action="EffectivenessAssessed",
            event_timestamp=at(minutes + 2),
            event_data={"verdict": verdict, "score": 1},
            message=f"it was {verdict}",
        ),
    ]
    await answer(await http.post("/api/v1/audit/events/batch", json=events), 201)
    run = {
        "eventType": f"workflowexecution.workflow.{ended}",
        "workflowExecutionId": f"{name}-wfe",
        "workflowId": workflow,
        "targetResource": TARGET,
        "phase": ended.title(),
        "timestamp": at(minutes + 1),
        "correlationId": name,
    }
    await answer(await http.post("/api/v1/audit/workflow", json=run), 201)
    record = {
        "alertFingerprint": "f" * 64,
        "remediationName": name,
        "overallPhase": ended,
        "startTime": at(minutes),
        "completionTime": at(minutes + 3),
    }
    child = {"serviceType": "WorkflowExecution", "crdName": f"{name}-wfe", "phase": ended, "startTime": at(minutes)}
    await answer(await http.post("/api/v1/audit/remediation", json=record | {"serviceCrdStatuses": [child]}), 201)


async def test_a_targets_history_tells_what_was_tried_and_how_it_ended(http):
    await a_case(http, "case-old", 10, "Ineffective")
    await a_case(http, "case-new", 20, "Effective")
    params = {"targetKind": "Deployment", "targetName": "cart", "targetNamespace": "shop"}
    found = await answer(await http.get("/api/v1/remediation-history/context", params=params))
    assert found["target"] == TARGET
    assert [(each["name"], each["overallPhase"], each["effectiveness"]["verdict"]) for each in found["cases"]] == [
        ("case-new", "completed", "Effective"),
        ("case-old", "failed", "Ineffective"),
    ]
    assert [each["workflowId"] for each in found["cases"][0]["workflows"]] == ["restart"]
    recent = await answer(await http.get("/api/v1/remediation-history/context", params={**params, "since": at(15)}))
    assert [each["name"] for each in recent["cases"]] == ["case-new"]
    other = await answer(await http.get("/api/v1/remediation-history/context", params={**params, "targetName": "till"}))
    assert other["cases"] == []


async def test_a_timeline_has_the_record_the_fixes_and_all_facts_in_order(http):
    await a_case(http, "case-a", 10, "Effective")
    told = await answer(await http.get("/api/v1/query/remediation/case-a/timeline"))
    assert told["remediation"]["overallPhase"] == "completed"
    assert [each["event_action"] for each in told["events"]] == ["PhaseTransition", "EffectivenessAssessed"]
    assert [each["workflowExecutionId"] for each in told["workflows"]] == ["case-a-wfe"]
    assert not told["truncated"]
    missing = await answer(await http.get("/api/v1/query/remediation/nobody/timeline"), 404)
    assert "nobody" in missing["detail"]


async def test_success_rates_count_the_ends_of_each_workflow(http):
    for number, verdict in enumerate(["Effective", "Effective", "Ineffective"]):
        await a_case(http, f"case-{number}", 10 * number, verdict)
    await a_case(http, "case-9", 90, "Effective", workflow="scale")
    found = await answer(await http.get("/api/v1/context/success-rates"))
    assert [(each["workflowId"], each["total"], each["succeeded"], each["rate"]) for each in found["workflows"]] == [
        ("restart", 3, 2, 0.6667),
        ("scale", 1, 1, 1.0),
    ]
    recent = await answer(await http.get("/api/v1/context/success-rates", params={"since": at(60)}))
    assert [each["workflowId"] for each in recent["workflows"]] == ["scale"]

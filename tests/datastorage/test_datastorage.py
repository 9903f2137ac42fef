"""The audit trail over real HTTP and a real database."""

import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from kubernaut.datastorage.database import NewerSchema
from tests.datastorage.place import T0, answer, datastorage, event, everything, opened


async def test_an_event_sent_twice_is_kept_once(http):
    for duplicate in (False, True):
        answer = await http.post("/api/v1/audit/events", json=event(1))
        assert answer.status == 201
        assert (await answer.json())["duplicate"] is duplicate
    page = await (await http.get("/api/v1/audit/events", params={"correlation_id": "remediation-a"})).json()
    assert [each["event_id"] for each in page["data"]] == [str(UUID(int=1))]
    assert page["data"][0]["event_data"] == {"from": "Pending", "to": "Processing"}


async def test_one_bad_event_never_sinks_the_others(http):
    batch = [event(1), {"event_id": "no uuid", "correlation_id": "a"}, event(2), "text", event(3, event_outcome="perhaps"), event(1)]
    for statuses in (["stored", "refused", "stored", "refused", "refused", "duplicate"], ["duplicate", "refused"] * 2):
        body = await answer(await http.post("/api/v1/audit/events/batch", json=batch[: len(statuses)]), 201)
        assert [each["status"] for each in body["results"]] == statuses
    assert [each["index"] for each in body["refused"]] == [1, 3]
    assert "event_timestamp: Field required" in body["refused"][0]["error"]
    kept = await everything(http, event_action="EventRefused")
    assert [(each["correlation_id"], each["event_data"]["body"]) for each in kept][1] == ("unknown", '"text"'), (
        "what was refused is kept, once"
    )
    assert {each["correlation_id"] for each in kept} == {"a", "unknown", "remediation-a"}


async def test_pages_follow_on_without_gap_or_repeat(http):
    async with http.post("/api/v1/audit/events/batch", json=[event(number) for number in range(25)]) as answer:
        assert (await answer.json())["stored"] == 25
    seen, cursor = [], ""
    while True:
        page = await (await http.get("/api/v1/audit/events", params={"limit": 10, "cursor": cursor})).json()
        seen += [each["event_id"] for each in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
    assert seen == [str(UUID(int=number)) for number in range(25)]


async def test_a_question_by_time_and_type_takes_only_what_matches(http):
    async with http.post("/api/v1/audit/events/batch", json=[event(1), event(5, event_type="gateway.signal.received"), event(9)]) as answer:
        assert answer.status == 201
    params = {"since": (T0 + timedelta(seconds=2)).isoformat(), "event_type": "gateway.signal.received"}
    page = await (await http.get("/api/v1/audit/events", params=params)).json()
    assert [each["event_id"] for each in page["data"]] == [str(UUID(int=5))]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        pytest.param({"cursor": "bm8="}, "cursor", id="a cursor from elsewhere"),
        pytest.param({"colour": "red"}, "colour", id="a parameter nobody knows"),
        pytest.param({"limit": "0"}, "limit", id="a limit out of bounds"),
        pytest.param({"since": "yesterday"}, "since", id="a time that is none"),
    ],
)
async def test_a_wrong_question_is_answered_with_what_is_wrong(http, params, text):
    answer = await http.get("/api/v1/audit/events", params=params)
    body = await answer.json(content_type=None)
    assert answer.status == 400
    assert text in body["detail"]
    assert body["error"]["message"] == body["detail"]


async def test_a_remediation_record_is_updated_by_name_with_its_service_statuses(http):
    record: dict[str, Any] = {
        "alertFingerprint": "a" * 64,
        "remediationName": "remediation-a",
        "overallPhase": "processing",
        "startTime": T0.isoformat(),
        "serviceCrdStatuses": [
            {"serviceType": "RemediationProcessing", "crdName": "remediation-a-processing", "phase": "Pending", "startTime": T0.isoformat()}
        ],
    }
    first = await (await http.post("/api/v1/audit/remediation", json=record)).json()
    record |= {"overallPhase": "completed", "completionTime": (T0 + timedelta(minutes=2)).isoformat()}
    record["serviceCrdStatuses"][0]["phase"] = "Completed"
    second = await (await http.post("/api/v1/audit/remediation", json=record)).json()
    assert first["id"] == second["id"]
    kept = await (await http.get("/api/v1/query/remediation/remediation-a")).json()
    assert (kept["overallPhase"], kept["completionTime"]) == ("completed", "2026-01-01T00:02:00+00:00")
    assert [(each["crdName"], each["phase"]) for each in kept["serviceCrdStatuses"]] == [("remediation-a-processing", "Completed")]
    assert "timeoutPhase" not in kept
    late = {**record, "overallPhase": "verifying"}
    del late["completionTime"]
    await answer(await http.post("/api/v1/audit/remediation", json=late), 201)
    assert (await (await http.get("/api/v1/query/remediation/remediation-a")).json()) == kept, "the end stands"


async def test_a_workflow_record_is_stored_once_for_each_execution_and_event(http):
    record = {"eventType": "workflowexecution.workflow.started", "workflowExecutionId": "remediation-a-wfe", "timestamp": T0.isoformat()}
    for _ in range(2):
        async with http.post("/api/v1/audit/workflow", json=record) as answer:
            assert answer.status == 201
    missing = await http.post("/api/v1/audit/workflow", json={"eventType": "x"})
    assert missing.status == 400
    assert {each["field"] for each in (await missing.json(content_type=None))["error"]["details"]["fields"]} == {
        "workflowExecutionId",
        "timestamp",
    }


async def test_a_body_over_the_limit_is_refused(http):
    async with http.post("/api/v1/audit/events", data=io.BytesIO(bytes(9 * 1024 * 1024))) as answer:
        assert answer.status == 413


async def test_what_was_stored_is_there_after_a_restart(database):
    for expected in (1, 0):
        async with datastorage(database) as http:
            body = await answer(await http.post("/api/v1/audit/events/batch", json=[event(7)]), 201)
            assert body["stored"] == expected


async def test_a_newer_schema_is_refused_with_what_to_do(database):
    async with opened(database) as store, store.database.writing() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchema, match=r"has schema 9999.*use the version"):
        async with opened(database):
            pass


async def test_readiness_names_the_database(http):
    body = await (await http.get("/readyz")).json()
    assert body["status"] == "ready"
    assert body["dependencies"]["database"]["status"] in {"healthy", "degraded"}

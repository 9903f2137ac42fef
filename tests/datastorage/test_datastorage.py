"""The audit trail over real HTTP and a real database."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from kubernaut.datastorage.app import datastorage_app
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.datastorage.store import NewerSchema, Store
from kubernaut.service import serving

T0 = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def url(tmp_path):
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path}/audit.db")
    async with serving(datastorage_app(store, DataStorageSettings()), host="127.0.0.1", port=0) as address:
        yield address
    await store.close()


@pytest.fixture
async def http(url):
    async with aiohttp.ClientSession(url) as session:
        yield session


def event(number: int, **changes):
    body = {
        "event_id": str(UUID(int=number)),
        "event_timestamp": (T0 + timedelta(seconds=number)).isoformat(),
        "event_type": "orchestration.remediationrequest.phasetransition",
        "event_category": "orchestration",
        "event_action": "phasetransition",
        "event_outcome": "success",
        "correlation_id": "remediation-a",
        "event_data": {"from": "Pending", "to": "Processing"},
    }
    return body | changes


async def test_an_event_sent_twice_is_kept_once(http):
    for duplicate in (False, True):
        answer = await http.post("/api/v1/audit/events", json=event(1))
        assert answer.status == 201
        assert (await answer.json())["duplicate"] is duplicate
    page = await (await http.get("/api/v1/audit/events", params={"correlation_id": "remediation-a"})).json()
    assert [each["event_id"] for each in page["data"]] == [str(UUID(int=1))]
    assert page["data"][0]["event_data"] == {"from": "Pending", "to": "Processing"}


async def test_one_bad_event_never_sinks_the_others(http):
    batch = [event(1), {"event_id": "no uuid"}, event(2), "text", event(3, event_outcome="perhaps")]
    answer = await http.post("/api/v1/audit/events/batch", json=batch)
    body = await answer.json()
    assert (answer.status, body["stored"], [each["index"] for each in body["refused"]]) == (201, 2, [1, 3, 4])
    assert "event_outcome" in body["refused"][2]["error"]


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


async def test_a_workflow_record_is_stored_once_for_each_execution_and_event(http):
    record = {"eventType": "workflowexecution.workflow.started", "workflowExecutionId": "remediation-a-wfe", "timestamp": T0.isoformat()}
    for _ in range(2):
        async with http.post("/api/v1/audit/workflow", json=record) as answer:
            assert answer.status == 201
    missing = await http.post("/api/v1/audit/workflow", json={"eventType": "x"})
    assert missing.status == 400
    assert {each["field"] for each in (await missing.json(content_type=None))["error"]["details"]["fields"]} == {
        "body.workflowExecutionId",
        "body.timestamp",
    }


async def test_a_body_over_the_limit_is_refused(http):
    async with http.post("/api/v1/audit/events", data=io.BytesIO(bytes(9 * 1024 * 1024))) as answer:
        assert answer.status == 413


async def test_what_was_stored_is_there_after_a_restart(tmp_path):
    database = f"sqlite+aiosqlite:///{tmp_path}/audit.db"
    for expected in (1, 0):
        store = await Store.open(database)
        async with (
            serving(datastorage_app(store, DataStorageSettings()), host="127.0.0.1", port=0) as address,
            aiohttp.ClientSession(address) as http,
        ):
            answer = await http.post("/api/v1/audit/events/batch", json=[event(7)])
            assert (await answer.json())["stored"] == expected
        await store.close()


async def test_a_newer_schema_is_refused_with_what_to_do(tmp_path):
    database = f"sqlite+aiosqlite:///{tmp_path}/audit.db"
    store = await Store.open(database)
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    await store.close()
    with pytest.raises(NewerSchema, match="use the version"):
        await Store.open(database)


async def test_readiness_names_the_database(http):
    body = await (await http.get("/readyz")).json()
    assert body["status"] == "ready"
    assert body["dependencies"]["database"]["status"] in {"healthy", "degraded"}

"""Data storage's HTTP face."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.requests import Request

from kubernaut.api.audit import AuditEvent, RemediationAudit, WorkflowAudit
from kubernaut.api.base import Obj
from kubernaut.datastorage import query
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.datastorage.store import Store
from kubernaut.service import Json, Problem, create_app

MAX_BATCH = 1000


def datastorage_app(store: Store, settings: DataStorageSettings) -> FastAPI:
    """Make the app over an open store."""
    app = create_app(
        "datastorage",
        title="kubernaut data storage",
        checks={"database": store.ping},
        body_limit=settings.body_limit,
        max_concurrent=settings.max_concurrent_requests,
    )
    _add_writes(app, store)
    _add_queries(app, store)
    return app


def _add_writes(app: FastAPI, store: Store) -> None:
    @app.post("/api/v1/audit/remediation", status_code=201)
    async def put_remediation(record: RemediationAudit) -> Obj:
        """Store or update the record of a remediation."""
        record_id = await store.put_remediation(record)
        return {"id": record_id, "createdAt": datetime.now(UTC), "message": f"stored {record.remediation_name}"}

    @app.post("/api/v1/audit/workflow", status_code=201)
    async def add_workflow(record: WorkflowAudit) -> Obj:
        """Store a workflow record."""
        await store.add_workflow(record)
        return {"createdAt": datetime.now(UTC), "message": f"stored {record.workflow_execution_id}"}

    @app.post("/api/v1/audit/events", status_code=201)
    async def add_event(event: AuditEvent) -> Obj:
        """Store one audit event; the same event again is the same record."""
        new = await store.add_events([event])
        return {"event_id": event.event_id, "duplicate": new == 0}

    @app.post("/api/v1/audit/events/batch", status_code=201)
    async def add_events(request: Request) -> JSONResponse:
        """Store a list of audit events; a bad one is named and never sinks the others."""
        good, refused = _judged(await _json_list(request))
        new = await store.add_events(good)
        body = {"stored": new, "duplicates": len(good) - new, "refused": refused}
        return JSONResponse(body, status_code=201 if good or not refused else 400)


def _add_queries(app: FastAPI, store: Store) -> None:
    @app.get("/api/v1/audit/events")
    async def find_events(
        request: Request,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str = "",
        limit: Annotated[int, Query(ge=1, le=query.PAGE_LIMIT)] = 50,
    ) -> Json:
        """Return events by time and by the columns of `query.EXACT`, oldest first."""
        unknown = set(request.query_params) - {*query.EXACT, "since", "until", "cursor", "limit"}
        if unknown:
            raise Problem(400, "INVALID_FIELD_VALUE", f"unknown parameters {sorted(unknown)}; known are {sorted(query.EXACT)}")
        equal = {name: value for name, value in request.query_params.items() if name in query.EXACT}
        try:
            page = await query.events(store.engine, equal, since=since, until=until, cursor=cursor, limit=limit)
        except query.BadCursor as error:
            raise Problem(400, "INVALID_FIELD_VALUE", str(error)) from error
        return Json(
            {"data": page.events, "pagination": {"limit": limit, "next_cursor": page.next_cursor, "has_more": bool(page.next_cursor)}}
        )

    @app.get("/api/v1/query/remediation/{name}")
    async def find_remediation(name: str) -> Json:
        """Return the record of one remediation."""
        found = await query.remediation(store.engine, name)
        if found is None:
            raise Problem(404, "RESOURCE_NOT_FOUND", f"no remediation {name!r} is on record")
        return Json(found)


async def _json_list(request: Request) -> list[object]:
    try:
        body = await request.json()
    except ValueError as error:
        raise Problem(400, "INVALID_JSON", f"the body is no JSON: {error}") from error
    if not isinstance(body, list) or len(body) > MAX_BATCH:
        raise Problem(400, "VALIDATION_ERROR", f"the body must be a list of at most {MAX_BATCH} events")
    return body


def _judged(bodies: list[object]) -> tuple[list[AuditEvent], list[Mapping[str, object]]]:
    """Part the events that can be stored from those that cannot, with the reason."""
    good: list[AuditEvent] = []
    refused: list[Mapping[str, object]] = []
    for index, body in enumerate(bodies):
        try:
            good.append(AuditEvent.model_validate(body))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
            refused.append({"index": index, "error": faults[:1024]})
    return good, refused

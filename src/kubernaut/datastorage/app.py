"""Data storage's HTTP face: records in, questions out, the trail as a file."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from sqlalchemy.exc import DataError, IntegrityError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kubernaut.api.audit import AuditEvent, LegalHold, RemediationAudit, WorkflowAudit
from kubernaut.api.base import Obj
from kubernaut.datastorage import document, history, holds, query
from kubernaut.datastorage.asking import EventParams, ExportParams, HistoryParams, NoParams, SinceParams
from kubernaut.datastorage.database import FAULTS
from kubernaut.datastorage.document import body_of, operation, several
from kubernaut.datastorage.export import Unsigned, export
from kubernaut.datastorage.intake import Judged, read, read_batch, read_params
from kubernaut.datastorage.store import Store
from kubernaut.datastorage.writer import Unavailable
from kubernaut.kube.client import Client
from kubernaut.kube.reviews import Permission, Reviewer
from kubernaut.service import OVERLOAD_RETRY_SECONDS, Access, Guard, Json, Problem, Rates, ServiceApp, create_app
from kubernaut.service.document import TEXT

SERVICE: Final = "datastorage"
NDJSON: Final = "application/x-ndjson"
NOT_FOUND: Final = {"404": "Nothing is on record of it."}

Handler = Callable[[Request], Awaitable[Response]]


def guards(client: Client, store: Store) -> tuple[Guard, ...]:
    """Return who is asked before a request is heard: who may use data storage, and how often."""
    settings = store.settings
    rates = Rates(SERVICE, settings.rate)
    if not settings.access.enabled:
        return (rates,)
    permission = Permission("create", "services", "data-storage-service", settings.namespace)
    judge = Reviewer(client, audiences=settings.access.audiences, permission=permission if settings.access.authorize else None)
    return Access(judge, settings.access, needs=str(permission)), rates


def datastorage_app(store: Store, guarding: Sequence[Guard] = ()) -> ServiceApp:
    """Make the app over an open store."""
    app = create_app(
        SERVICE,
        title="kubernaut data storage",
        checks={"database": store.ping},
        body_limit=store.settings.body_limit,
        max_concurrent=store.settings.max_concurrent_requests,
        guards=guarding,
    )
    for routes in (_Writes(store).routes(), _Questions(store).routes(), _Custody(store).routes()):
        for route in routes:
            _add(app, route, secured=store.settings.access.enabled)
    return app


@dataclass(frozen=True, kw_only=True)
class _Route:
    """One operation: where, what it takes and answers, who does it."""

    path: str
    name: str
    summary: str
    handler: Handler
    answered: Obj
    method: str = "GET"
    status: int = 200
    params: type[BaseModel] | None = None
    body: Obj | None = None
    media: str = "application/json"
    faults: Sequence[tuple[str, str]] = ()


def _add(app: ServiceApp, route: _Route, *, secured: bool) -> None:
    app.add_route(route.path, _told(route.handler), methods=[route.method])
    told = operation(
        route.name,
        route.summary,
        route.status,
        route.answered,
        secured=secured,
        path=route.path,
        params=route.params,
        body=route.body,
        media=route.media,
        faults=dict(route.faults),
    )
    app.describe(route.path, told, method=route.method.lower())


def _told(handler: Handler) -> Handler:
    """Answer what the database does as what it means to the caller."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except (DataError, IntegrityError) as fault:
            raise Problem(500, "DATABASE_ERROR", f"The database refused it: {type(fault).__name__}") from fault
        except (Unavailable, *FAULTS) as fault:
            text = str(fault) if isinstance(fault, Unavailable) else "the database does not answer now: send it again later"
            raise Problem(503, "SERVICE_UNAVAILABLE", text[0].upper() + text[1:], retry_after=OVERLOAD_RETRY_SECONDS) from fault

    return answered


class _Writes:
    """Records in."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[_Route]:
        """Return the operations."""
        event, audit = body_of(AuditEvent), "/api/v1/audit"
        return [
            _write(f"{audit}/remediation", "post_remediation", self.remediation, body_of(RemediationAudit), document.STORED),
            _write(f"{audit}/workflow", "post_workflow", self.workflow, body_of(WorkflowAudit), document.STORED),
            _write(f"{audit}/events", "post_event", self.event, event, document.EVENT_STORED),
            _write(f"{audit}/events/batch", "post_events", self.batch, {**several(event), "maxItems": 1000}, document.BATCH),
        ]

    async def remediation(self, request: Request) -> Response:
        """Store or update the record of a remediation."""
        record = read(RemediationAudit, await request.body())
        record_id = await self._store.put_remediation(record)
        return Json({"id": record_id, "createdAt": self._store.now(), "message": f"stored {record.remediation_name}"}, 201)

    async def workflow(self, request: Request) -> Response:
        """Store or update a workflow record."""
        record = read(WorkflowAudit, await request.body())
        record_id = await self._store.put_workflow(record)
        return Json({"id": record_id, "createdAt": self._store.now(), "message": f"stored {record.workflow_execution_id}"}, 201)

    async def event(self, request: Request) -> Response:
        """Store one audit event; the same event again is the same record."""
        event = read(AuditEvent, await request.body())
        (new,) = await self._store.add_events([event])
        return Json({"event_id": event.event_id, "duplicate": not new}, 201)

    async def batch(self, request: Request) -> Response:
        """Store a list of audit events; a bad one is named, kept as refused, and never sinks the others."""
        judged = read_batch(await request.body(), self._store.now())
        new = await self._store.add_events([*judged.events, *judged.about_refused])
        body = _results(judged, new[: len(judged.events)])
        if judged.refused and not judged.events:
            raise Problem(400, "VALIDATION_ERROR", "None of these events can be stored; each is told what is wrong with it", details=body)
        return Json(body, 201)


def _results(judged: Judged, new: Sequence[bool]) -> Obj:
    """Say what became of each event of a batch."""
    results: list[Obj] = [
        {"index": place, "event_id": event.event_id, "status": "stored" if fresh else "duplicate"}
        for place, event, fresh in zip(judged.places, judged.events, new, strict=True)
    ]
    refused = [{"index": each.index, "error": each.error} for each in judged.refused]
    results += [{**each, "status": "refused"} for each in refused]
    results.sort(key=lambda each: each["index"])
    return {"stored": sum(new), "duplicates": len(new) - sum(new), "refused": refused, "results": results}


def _write(path: str, name: str, handler: Handler, body: Obj, answered: Obj) -> _Route:
    summary = (handler.__doc__ or "").rstrip(".")
    return _Route(path=path, name=name, summary=summary, handler=handler, answered=answered, method="POST", status=201, body=body)


class _Questions:
    """Questions out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    def routes(self) -> list[_Route]:
        """Return the operations."""
        one, events, case = "/api/v1/query/remediation/{name}", "/api/v1/audit/events", NOT_FOUND.items()
        past, rates = "/api/v1/remediation-history/context", "/api/v1/context/success-rates"
        return [
            _ask(events, "get_events", self.events, document.PAGE, EventParams),
            _ask(one, "get_remediation", self.remediation, document.REMEDIATION, faults=tuple(case)),
            _ask(f"{one}/timeline", "get_timeline", self.timeline, document.TIMELINE, faults=tuple(case)),
            _ask(past, "get_history", self.history, document.HISTORY, HistoryParams),
            _ask(rates, "get_success_rates", self.rates, document.RATES, SinceParams),
        ]

    async def events(self, request: Request) -> Response:
        """Return events oldest first, a page at a time."""
        asked = read_params(EventParams, request.query_params)
        try:
            page = await query.events(self._database, asked.question(), cursor=asked.cursor, limit=asked.limit)
        except query.BadCursor as error:
            raise Problem(400, "INVALID_FIELD_VALUE", str(error)) from error
        pagination = {"limit": asked.limit, "next_cursor": page.next_cursor, "has_more": bool(page.next_cursor)}
        return Json({"data": page.events, "pagination": pagination})

    async def remediation(self, request: Request) -> Response:
        """Return the record of one remediation."""
        name = request.path_params["name"]
        return Json(_found(await query.remediation(self._database, name), name))

    async def timeline(self, request: Request) -> Response:
        """Return all that is on record of one case, in order of time."""
        name = request.path_params["name"]
        return Json(_found(await history.timeline(self._database, name), name))

    async def history(self, request: Request) -> Response:
        """Return the cases about a target, newest first: what was tried, whether it helped, how it ended."""
        asked = read_params(HistoryParams, request.query_params)
        cases = await history.for_target(self._database, asked.target(), since=asked.since, limit=asked.limit)
        return Json({"target": asked.target(), "cases": cases})

    async def rates(self, request: Request) -> Response:
        """Return for each workflow how often it ended well."""
        asked = read_params(SinceParams, request.query_params)
        return Json({"workflows": await history.success_rates(self._database, since=asked.since)})


def _found(value: Obj | None, name: str) -> Obj:
    if value is None:
        raise Problem(404, "RESOURCE_NOT_FOUND", f"Nothing is on record about a remediation {name[:255]!r}")
    return value


def _ask(
    path: str,
    name: str,
    handler: Handler,
    answered: Obj,
    params: type[BaseModel] | None = None,
    faults: Sequence[tuple[str, str]] = (),
) -> _Route:
    summary = (handler.__doc__ or "").rstrip(".")
    return _Route(path=path, name=name, summary=summary, handler=handler, answered=answered, params=params, faults=faults)


class _Custody:
    """Holding, signing, handing out."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[_Route]:
        """Return the operations."""
        hold, unsigned = "/api/v1/audit/legal-hold", (("409", "This data storage has no key to sign with."),)
        gone: Obj = {"type": "object"}
        return [
            _write(hold, "post_legal_hold", self.place, body_of(LegalHold), document.made(message=TEXT)),
            _ask(hold, "get_legal_holds", self.placed, document.HOLDS),
            _Route(
                path=f"{hold}/{{correlation_id}}",
                name="delete_legal_hold",
                summary="Let a case go that was held",
                handler=self.lift,
                answered=gone,
                method="DELETE",
                faults=tuple(NOT_FOUND.items()),
            ),
            _ask("/api/v1/audit/key", "get_key", self.key, document.KEY, faults=unsigned),
            _Route(
                path="/api/v1/audit/export",
                name="get_export",
                summary="Return the trail as JSON lines behind a signed manifest",
                handler=self.export,
                answered=TEXT,
                params=ExportParams,
                media=NDJSON,
                faults=unsigned,
            ),
        ]

    async def place(self, request: Request) -> Response:
        """Keep all records of a case, however old they are."""
        hold = read(LegalHold, await request.body())
        await holds.place(self._store, hold, _actor(request))
        return Json({"message": f"{hold.correlation_id} is held"}, 201)

    async def placed(self, request: Request) -> Response:
        """Return the cases that are held."""
        read_params(NoParams, request.query_params)
        return Json({"holds": await holds.placed(self._store)})

    async def lift(self, request: Request) -> Response:
        """Let a case go."""
        name = request.path_params["correlation_id"]
        if not await holds.lift(self._store, name, _actor(request)):
            raise Problem(404, "RESOURCE_NOT_FOUND", f"No case {name[:255]!r} is held")
        return Json({"message": f"{name} is held no more"})

    async def key(self, _: Request) -> Response:
        """Return the public half of the key that signs."""
        signer = self._store.signer
        if signer is None:
            raise Problem(409, "RESOURCE_CONFLICT", "This data storage has no key to sign with: set datastorage.signing_key to a file")
        return Json({"key_id": signer.key_id, "public_key": signer.public})

    async def export(self, request: Request) -> Response:
        """Return the trail as a file."""
        pieces = export(self._store, read_params(ExportParams, request.query_params).selection())
        try:
            first = await anext(pieces)
        except Unsigned as error:
            raise Problem(409, "RESOURCE_CONFLICT", str(error)) from error
        return StreamingResponse(_joined(first, pieces), media_type=NDJSON)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _actor(request: Request) -> str:
    """Return who asks: the user of the token where tokens are asked for."""
    return str(getattr(request.state, "user", "")) or f"address {request.client.host if request.client else 'unknown'}"

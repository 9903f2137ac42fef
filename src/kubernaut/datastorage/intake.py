"""What comes in, judged: bodies read strictly, each fault by its field; what a batch holds that cannot be stored is kept as refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeVar
from uuid import UUID, uuid5

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from kubernaut.api.audit import AuditEvent
from kubernaut.api.base import AuditOutcome, Model, Obj
from kubernaut.api.redact import DROPPED, redact, redact_value
from kubernaut.datastorage import metrics
from kubernaut.service import Problem

DATA_LIMIT: Final = 256 * 1024
DATA_DEPTH: Final = 10
MAX_BATCH: Final = 1000
PROSE: Final = ("message", "failure_reason", "failure_message")
"""Fields of records that hold what somebody wrote; the others hold names."""
FAULTS_TOLD: Final = 20
REFUSED_LIMIT: Final = 64 * 1024
REFUSED: Final = UUID("5a4e2a42-2f0f-4f0e-a5a5-53b1c6a3d7a9")
"""Ids of records of what was refused are made in this namespace."""
INTEGERS: Final = range(-(2**63), 2**64)
"""What JSON as we write it holds; larger ones are kept as texts."""

_BATCH: Final = TypeAdapter(list[AuditEvent])
M = TypeVar("M", bound=Model)


class BadData(ValueError):  # noqa: N818  (says what it is)
    """An event's data is over its bounds."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What cannot be stored as it came: its place in the batch, and why."""

    index: int
    error: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch: what to store, with its places, and what was refused, with what is stored about that."""

    places: Sequence[int]
    events: Sequence[AuditEvent]
    refused: Sequence[Refused]
    about_refused: Sequence[AuditEvent]


def read(model: type[M], raw: bytes) -> M:
    """Read one record; raise Problem with every fault by its field."""
    try:
        record = model.model_validate_json(raw, strict=True)
        return bounded(record)
    except ValidationError as error:
        metrics.REFUSED.labels(model.__name__).inc()
        raise _problem(error) from error
    except BadData as error:
        metrics.REFUSED.labels(model.__name__).inc()
        raise Problem(400, "VALIDATION_ERROR", f"The body is not as it must be: event_data: {error}") from error


def read_batch(raw: bytes, now: datetime) -> Judged:
    """Read a list of at most 1000 events, each judged by itself; raise Problem for a body that is no such list."""
    try:
        items = from_json(raw)
    except ValueError as error:
        raise Problem(400, "INVALID_JSON", f"The body is no JSON: {error}") from error
    if not isinstance(items, list) or len(items) > MAX_BATCH:
        raise Problem(400, "VALIDATION_ERROR", f"The body must be a list of at most {MAX_BATCH} events")
    try:
        events = [bounded(event) for event in _BATCH.validate_json(raw, strict=True)]
    except (ValidationError, BadData):
        return _one_by_one(items, now)
    return Judged(range(len(events)), events, (), ())


def _one_by_one(items: Sequence[JsonValue], now: datetime) -> Judged:
    good, refused, kept = dict[int, AuditEvent](), list[Refused](), list[AuditEvent]()
    for index, item in enumerate(items):
        try:
            good[index] = bounded(AuditEvent.model_validate_json(to_json(item), strict=True))
        except (ValidationError, BadData) as error:
            refused.append(Refused(index, (_faults(error) if isinstance(error, ValidationError) else str(error))[:1024]))
            kept.append(about(item, refused[-1].error, now))
    metrics.REFUSED.labels(AuditEvent.__name__).inc(len(refused))
    return Judged([*good], [*good.values()], refused, kept)


def about(item: JsonValue, fault: str, now: datetime) -> AuditEvent:
    """Return the record of what a batch held and could not be stored: nothing that somebody told is forgotten, or kept twice."""
    raw = to_json(item)
    case = item.get("correlation_id") if isinstance(item, dict) else None
    return AuditEvent(
        event_id=uuid5(REFUSED, raw.hex()),
        event_timestamp=now,
        event_type="datastorage.event.refused",
        event_category="datastorage",
        event_action="EventRefused",
        event_outcome=AuditOutcome.FAILURE,
        correlation_id=case if isinstance(case, str) and 0 < len(case) <= 255 else "unknown",  # noqa: PLR2004  (the column's width)
        actor_id="datastorage",
        message=redact(fault)[:1024],
        event_data={"body": redact(raw.decode(errors="replace"))[:REFUSED_LIMIT], "bytes": len(raw)},
    )


def bounded(record: M) -> M:
    """Return a record without secrets, whose free data is within its bounds, with numbers that JSON cannot hold as texts; raise BadData."""
    if isinstance(record, AuditEvent) and record.event_data:
        record.event_data = {_text(key): _kept(value, 2) for key, value in record.event_data.items()}
        if len(to_json(record.event_data)) > DATA_LIMIT:
            raise BadData(f"it may have {DATA_LIMIT // 1024} KiB")
        record.event_data = {_named(key): redact_value(value, key=key) for key, value in record.event_data.items()}
    for name in PROSE:
        if isinstance(said := getattr(record, name, None), str):
            # what is hidden may be longer than what stood there
            setattr(record, name, redact(said)[: max(len(said), len(DROPPED))])
    return record


@lru_cache(maxsize=1024)
def _named(key: str) -> str:
    """Return the name of a field without secrets; the same few come in every event."""
    return redact(key)


def _kept(value: JsonValue, depth: int) -> JsonValue:
    match value:
        case dict() | list() if depth > DATA_DEPTH:
            raise BadData(f"it may be nested {DATA_DEPTH} deep")
        case dict():
            return {_text(key): _kept(each, depth + 1) for key, each in value.items()}
        case list():
            return [_kept(each, depth + 1) for each in value]
        case str():
            return _text(value)
        case bool() | None:
            return value
        case int():
            return value if value in INTEGERS else str(value)
        case float():
            return value if abs(value) < float("inf") else str(value)


def _text(value: str) -> str:
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{each['field']}: {each['message']}" for each in _fields(error))


def _fields(error: ValidationError) -> list[Obj]:
    faults = error.errors(include_url=False, include_input=False)[:FAULTS_TOLD]
    return [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in faults]


def _problem(error: ValidationError) -> Problem:
    """Say what is wrong with a body."""
    fields = _fields(error)
    if any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False, include_input=False)):
        return Problem(400, "INVALID_JSON", f"The body is no JSON: {fields[0]['message']}")
    return Problem(400, "VALIDATION_ERROR", f"The body is not as it must be: {_faults(error)}", details={"fields": fields})


def read_params(model: type[Any], given: Any) -> Any:
    """Read a query string; raise Problem with every fault by its parameter. An empty text asks for nothing."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise Problem(400, "INVALID_FIELD_VALUE", f"The question is not as it must be: {_faults(error)}") from error

"""What the OpenAPI document says of data storage's routes; they are plain routes, which tell nothing of themselves."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from kubernaut.api.base import Obj
from kubernaut.datastorage.query import SHOWN
from kubernaut.service.document import TEXT, answer, problem

WRITES: Final = {"413": "The body is too large.", "408": "The body did not come.", "500": "The database refused it."}
COMMON: Final = {"429": "You, or all together, ask too often.", "503": "The database does not answer now: send it again later."}
UNAUTHORIZED: Final = {"401": "No bearer token, or one that the API server does not know.", "403": "The token's user may not do this."}
RFC3339: Final = r"^(19[7-9]\d|[2-8]\d{3})-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
COUNT: Final[Obj] = {"type": "integer", "minimum": 0}
TIME: Final[Obj] = {"type": "string", "format": "date-time"}


def made(**fields: Obj) -> Obj:
    """Return the schema of an object whose fields are all there."""
    return {"type": "object", "required": [*fields], "properties": fields}


def several(items: Obj) -> Obj:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


STORED: Final = made(message=TEXT, createdAt=TIME, id=COUNT)
EVENT_STORED: Final = made(event_id=TEXT, duplicate={"type": "boolean"})
RESULT: Final = {**made(index=COUNT, status={"enum": ["stored", "duplicate", "refused"]})}
RESULT["properties"] |= {"event_id": TEXT, "error": TEXT}
BATCH: Final = made(stored=COUNT, duplicates=COUNT, refused=several(made(index=COUNT, error=TEXT)), results=several(RESULT))
_OTHER: Final[Mapping[str, Obj]] = {
    "event_data": {"type": "object"},
    "sequence": COUNT,
    "position": COUNT,
    "event_timestamp": TIME,
    "stored_at": TIME,
}
EVENT: Final = made(**{name: _OTHER.get(name, TEXT) for name in SHOWN})
PAGE: Final = made(data=several(EVENT), pagination=made(limit=COUNT, next_cursor=TEXT, has_more={"type": "boolean"}))
SERVICE: Final = made(serviceType=TEXT, crdName=TEXT, phase=TEXT, startTime=TIME)
REMEDIATION: Final = made(
    alertFingerprint=TEXT, remediationName=TEXT, overallPhase=TEXT, startTime=TIME, serviceCrdStatuses=several(SERVICE)
)
FACT: Final = made(
    event_timestamp=TIME, event_action=TEXT, event_outcome=TEXT, resource_type=TEXT, resource_name=TEXT, target=TEXT, message=TEXT
)
WORKFLOW: Final = made(workflowExecutionId=TEXT, workflowId=TEXT, eventType=TEXT, phase=TEXT, outcome=TEXT, timestamp=TIME)
TIMELINE: Final = made(name=TEXT, events=several(FACT), workflows=several(WORKFLOW), truncated={"type": "boolean"})
TIMELINE["properties"] |= {"remediation": REMEDIATION}
HISTORY: Final = made(target=TEXT, cases=several(made(name=TEXT, startTime=TIME, workflows=several(WORKFLOW))))
RATES: Final = made(
    workflows=several(
        made(workflowId=TEXT, total=COUNT, succeeded=COUNT, failed=COUNT, rate={"type": "number", "minimum": 0, "maximum": 1})
    )
)
HOLDS: Final = made(holds=several(made(correlation_id=TEXT, reason=TEXT, placed_by=TEXT, placed_at=TIME)))
KEY: Final = made(key_id=TEXT, public_key=TEXT)


def operation(
    name: str,
    summary: str,
    status: int,
    answered: Obj,
    *,
    secured: bool,
    path: str = "",
    params: type[BaseModel] | None = None,
    body: Obj | None = None,
    media: str = "application/json",
    faults: Mapping[str, str] = {},
) -> Obj:
    """Return an operation: what it takes, and every answer it may give."""
    problems = COMMON | ({"400": "It is not as it must be; the answer names each fault.", **WRITES} if body else {})
    problems |= {"400": "The question is not as it must be."} if params else {}
    problems |= {**faults, **(UNAUTHORIZED if secured else {})}
    responses = {str(status): answer("Done.", {media: answered})} | {code: problem(text) for code, text in problems.items()}
    told: Obj = {"operationId": name, "summary": summary, "responses": responses}
    if parameters := [*_path_parameters(path), *(_query_parameters(params) if params else ())]:
        told["parameters"] = parameters
    if body:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return told


def body_of(model: type[BaseModel]) -> Obj:
    """Return a body's schema; a field that may be left out may also be null."""
    schema = _inlined(model.model_json_schema(mode="validation"))
    return _nullable(schema)


def _nullable(schema: Obj) -> Obj:
    needed = set(schema.get("required", ()))
    fields = {
        name: _field(each) if name in needed else {"anyOf": [_field(each), {"type": "null"}]} for name, each in schema["properties"].items()
    }
    return {**schema, "properties": fields}


def _field(schema: Obj) -> Obj:
    """Return a field's schema, with the fields of what it holds nullable too."""
    if schema.get("type") == "array" and "properties" in schema["items"]:
        return {**schema, "items": _nullable(schema["items"])}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_field(each) for each in schema["anyOf"]]}
    return {**schema, "pattern": RFC3339} if schema.get("format") == "date-time" else schema


def _inlined(schema: Any, defs: Mapping[str, Any] | None = None) -> Any:
    """Put definitions where they are referred to."""
    known = schema.get("$defs", {}) if defs is None else defs
    if isinstance(schema, list):
        return [_inlined(each, known) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(known[schema["$ref"].rpartition("/")[2]], known)
    return {name: _inlined(each, known) for name, each in schema.items() if name not in {"$defs", "title", "default"}}


def _path_parameters(path: str) -> Sequence[Obj]:
    schema: Obj = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-z0-9.-]+$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in re.findall(r"{(\w+)}", path)]


def _query_parameters(params: type[BaseModel]) -> Sequence[Obj]:
    schema = _inlined(params.model_json_schema(mode="validation"))
    needed = set(schema.get("required", ()))
    return [_parameter(name, each, needed=name in needed) for name, each in schema.get("properties", {}).items()]


def _parameter(name: str, schema: Obj, *, needed: bool) -> Obj:
    told = schema.pop("description", "")
    plain = next((_field(each) for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    return {"name": name, "in": "query", "required": needed, "schema": plain, **({"description": told} if told else {})}

"""What the OpenAPI document says of the webhook routes; they are plain routes, which tell nothing of themselves."""

from collections.abc import Sequence
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.gateway.results import Became
from kubernaut.gateway.sources.base import Source
from kubernaut.service.document import PROBLEM, TEXT, answer, problem
from kubernaut.service.problem import PROBLEM_MEDIA_TYPE

COUNT: Final[Obj] = {"type": "integer", "minimum": 0}
RESULT_FIELDS: Final[Obj] = {
    "status": {"enum": [became.value for became in Became]},
    "message": TEXT,
    "duplicate": {"type": "boolean"},
    "fingerprint": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    "remediationRequestName": TEXT,
    "remediationRequestNamespace": TEXT,
    "remediationRequestRef": {"type": "object", "properties": {"name": TEXT, "namespace": TEXT}},
    "count": {"type": "integer", "minimum": 1},
    "environment": TEXT,
    "priority": TEXT,
    "rejection": {"type": "object", "required": ["reason"], "properties": {"reason": TEXT}},
}
ANSWER: Final[Obj] = {
    "type": "object",
    "required": ["results", "summary"],
    "properties": {
        **RESULT_FIELDS,
        "results": {
            "description": "one for each report, in order; a body with a single report has its fields beside this list too",
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["index", "status", "message", "duplicate"],
                "properties": {"index": COUNT, **RESULT_FIELDS},
            },
        },
        "summary": {
            "type": "object",
            "required": ["total", "created", "deduplicated", "resolved", "rejected", "failed"],
            "properties": dict.fromkeys(("total", "created", "deduplicated", "resolved", "rejected", "failed"), COUNT),
        },
    },
}
ANSWERS: Final = {
    "200": "Nothing was to be done: resolved without an open remediation, or rejected.",
    "201": "At least one remediation was created, and everything else was stored too.",
    "202": "All was counted on open remediations.",
}
PROBLEMS: Final = {
    "400": "The body as a whole cannot be read, the source is unknown, or the request is a replay.",
    "408": "The body did not come.",
    "413": "The body is too large.",
    "429": "This sender, or all together, send too often.",
}
UNAUTHORIZED: Final = {
    "401": "No bearer token, or one that the API server does not know.",
    "403": "The token's user may not send signals.",
}


def operation(source: Source, *, secured: bool) -> Obj:
    """Return the operation of one source's webhook."""
    return _operation(source.name, f"Signals of {source.name}", source.schema, secured=secured)


def generic(sources: Sequence[Source], header: str, *, secured: bool) -> Obj:
    """Return the operation of the route that is told the source by a header."""
    told: Obj = {"name": header, "in": "header", "required": True, "schema": {"enum": [source.name for source in sources]}}
    made = _operation("any", f"Signals of the source that {header} names", {"anyOf": [each.schema for each in sources]}, secured=secured)
    return {**made, "parameters": [told]}


def _operation(name: str, summary: str, schema: Obj, *, secured: bool) -> Obj:
    problems = PROBLEMS | (UNAUTHORIZED if secured else {})
    answers = {code: answer(text, {"application/json": ANSWER}) for code, text in ANSWERS.items()}
    answers |= {code: problem(text) for code, text in problems.items()}
    unavailable = "Something was not stored (the results say what), too much is asked at once, or we are starting: send it again."
    answers["503"] = answer(unavailable, {"application/json": {"anyOf": [ANSWER, PROBLEM]}, PROBLEM_MEDIA_TYPE: PROBLEM})
    return {
        "operationId": f"post_signals_{name.replace('-', '_')}",
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": answers,
    }

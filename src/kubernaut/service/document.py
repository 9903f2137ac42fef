"""What the OpenAPI documents of our services share: the error body, and how an answer is written down."""

from typing import Final

from kubernaut.api.base import Obj
from kubernaut.service.problem import PROBLEM_MEDIA_TYPE

TEXT: Final[Obj] = {"type": "string"}
PROBLEM: Final[Obj] = {
    "type": "object",
    "required": ["type", "title", "detail", "status", "instance", "error", "timestamp", "correlationId"],
    "properties": {
        "type": TEXT,
        "title": {"description": "the code again", **TEXT},
        "detail": {"description": "what is wrong and what to do", **TEXT},
        "status": {"type": "integer"},
        "instance": TEXT,
        "requestId": TEXT,
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": TEXT, "message": TEXT, "details": {"type": "object"}},
        },
        "timestamp": TEXT,
        "path": TEXT,
        "correlationId": TEXT,
    },
}


def answer(text: str, content: Obj) -> Obj:
    """Return a response object: what it means, and its schema by media type."""
    return {"description": text, "content": {media: {"schema": schema} for media, schema in content.items()}}


def problem(text: str) -> Obj:
    """Return the response object of an error, which comes in either media type."""
    return answer(text, {"application/json": PROBLEM, PROBLEM_MEDIA_TYPE: PROBLEM})

"""What sources have in common when they read a body that may hold anything: bounds, clean texts, moments."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.gateway.sources.base import BadBody, Refused

DEPTH_LIMIT: Final = 32
"""How deep objects and lists may stand in each other: real webhooks stay under eight."""
NAME_LIMIT: Final = 253
NAMESPACE_LIMIT: Final = 63
CLUSTER_SCOPED: Final = ("Node", "Namespace", "PersistentVolume")


def decoded(body: bytes) -> Obj:
    """Return a body's JSON object; raise BadBody with what is wrong with it."""
    try:
        tree: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"the body is no JSON: {error}") from error
    if not isinstance(tree, dict):
        raise BadBody("the body must be a JSON object")
    if _deeper(tree, DEPTH_LIMIT):
        raise BadBody(f"the body is nested deeper than {DEPTH_LIMIT} levels")
    return tree


def _deeper(tree: Obj, limit: int) -> bool:
    """Whether objects and lists stand in each other deeper than a limit; level by level, so that no depth exhausts the stack."""
    level: list[Any] = [tree]
    for _ in range(limit):
        inner = (node.values() if isinstance(node, dict) else node for node in level)
        level = [child for children in inner for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def texts(value: object) -> dict[str, str]:
    """Return an object's entries as texts; nothing for what is no object."""
    return {str(key): str(item) for key, item in value.items() if item is not None} if isinstance(value, dict) else {}


def fields(value: object) -> Obj:
    """Return an object, or nothing for what is none."""
    return value if isinstance(value, dict) else {}


def printable(text: object) -> str:
    """Return a text without control characters and outer blanks; nothing for what is no text."""
    return "".join(char for char in text if char.isprintable()).strip() if isinstance(text, str) else ""


def moment(value: object) -> datetime | None:
    """Return an RFC 3339 time in UTC, or None."""
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def resource(kind: str, name: str, namespace: str, *, said_by: str, api_version: str = "") -> ResourceIdentifier | Refused:
    """Name an object, or say why its name cannot be one; `said_by` is where the report names it."""
    if len(namespace) > NAMESPACE_LIMIT:
        return Refused("BadNamespace", f"the namespace in {said_by} is longer than {NAMESPACE_LIMIT} characters")
    if len(name) > NAME_LIMIT:
        return Refused("BadResourceName", f"the name in {said_by} is longer than {NAME_LIMIT} characters")
    if kind in CLUSTER_SCOPED:
        namespace = ""
    elif not namespace:
        return Refused("NoNamespace", f"{said_by} names {kind} {name!r} without a namespace")
    try:
        return ResourceIdentifier(kind=kind, name=name, namespace=namespace, api_version=api_version)
    except ValidationError as error:
        return Refused("BadResource", f"{said_by} names no Kubernetes object: {error.errors()[0]['msg']}")

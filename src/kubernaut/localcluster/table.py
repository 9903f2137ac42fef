"""Tables: what `kubectl get` asks for and shows."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from kubernaut.localcluster import jsonpath
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.builtin import builtin_schema, object_meta
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.printers import PRINTERS
from kubernaut.localcluster.printers.base import Cells, Column, age, since

_AGE_ONLY: tuple[Column, ...] = (("Age", "date", 0),)


def _description(field: str) -> str:
    return str((object_meta().get("properties") or {}).get(field, {}).get("description", ""))


def _definition(name: str, type_: str, priority: int, description: str, format_: str = "") -> Obj:
    return {"name": name, "type": type_, "format": format_, "description": description, "priority": priority}


def _columns(kind: ResourceKind) -> list[Obj]:
    named = _definition("Name", "string", 0, _description("name"), "name")
    if kind.definition is not None and kind.definition.get("additionalPrinterColumns"):
        return [named, *(_custom_column(row) for row in kind.definition["additionalPrinterColumns"])]
    printer = PRINTERS.get(kind.resource)
    rows, described = (printer.columns, printer.told) if printer else (_AGE_ONLY, {})
    told = [_definition(name, type_, priority, _told(kind, name, described.get(name, ""))) for name, type_, priority in rows]
    if kind.plural == "events" and not kind.custom:
        # the one kind whose name comes last
        told[-1] = {**named, "priority": 1}
        return told
    return [named, *told]


def _told(kind: ResourceKind, name: str, text: str) -> str:
    if name == "Age":
        return _description("creationTimestamp")
    if not text.startswith("@"):
        return text
    node = builtin_schema(kind.group, kind.version, kind.kind)
    for field in text[1:].split("."):
        node = node["properties"][field]
    return str(node.get("description", ""))


def _custom_column(row: Obj) -> Obj:
    text = row.get("description") or f"Custom resource definition column (in JSONPath format): {row['jsonPath']}"
    return _definition(row["name"], row["type"], row.get("priority", 0), text, row.get("format", ""))


def _cells(kind: ResourceKind, obj: Obj, now: datetime) -> Cells:
    if kind.definition is not None and kind.definition.get("additionalPrinterColumns"):
        rows = kind.definition["additionalPrinterColumns"]
        return [obj["metadata"].get("name", ""), *(_custom_cell(obj, row, now) for row in rows)]
    printer = PRINTERS.get(kind.resource)
    return printer.row(obj, now) if printer else [obj["metadata"].get("name", ""), age(obj, now)]


def _custom_cell(obj: Obj, row: Obj, now: datetime) -> Any:
    value = jsonpath.find(obj, row["jsonPath"])
    if value is None:
        return None
    if row["type"] == "date":
        return since(value, now) if isinstance(value, str) else None
    return _typed(value, row["type"])


_ACCEPTED: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}


def _typed(value: Any, type_: str) -> Any:
    if accepted := _ACCEPTED.get(type_):
        return value if isinstance(value, accepted) and (type_ == "boolean") == isinstance(value, bool) else None
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else jsonpath_text(value)


def jsonpath_text(value: Any) -> str:
    """Return a value as Go prints it in a string column."""
    if isinstance(value, list):
        return "[" + " ".join(_go_text(item) for item in value) + "]"
    return _go_text(value)


def _go_text(value: Any) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return jsonpath_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def render(kind: ResourceKind, objects: Iterable[Obj], meta: Obj, include: str, version: str) -> Obj:
    """Return a Table; `include` says what of each object goes with its row."""
    now = datetime.now(UTC)
    rows: Sequence[Obj] = [{"cells": _cells(kind, obj, now), "object": _included(obj, include, version)} for obj in objects]
    return {"kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": meta, "columnDefinitions": _columns(kind), "rows": rows}


def _included(obj: Obj, include: str, version: str) -> Obj | None:
    if include == "None":
        return None
    if include == "Object":
        return obj
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}

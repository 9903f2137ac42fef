"""Is a schema structural? The rules of apiextensions-apiserver for `openAPIV3Schema`, in its words.

A definition that breaks them is not served. Paths start below `openAPIV3Schema`, e.g. `properties[spec].type`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kubernaut.localcluster import celrules, checking, regular
from kubernaut.localcluster.faults import Fault, child, forbidden, invalid, required
from kubernaut.localcluster.nodes import Node, root_node

Obj = dict[str, Any]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LEVELS: Mapping[str, str] = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_NESTED_FORBIDDEN: Mapping[str, str] = {
    "type": "must be empty to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "additionalProperties": "must be undefined to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}
_UNSUPPORTED: Mapping[str, str] = {
    "$ref": "$ref is not supported",
    "definitions": "definitions is not supported",
    "dependencies": "dependencies is not supported",
    "deprecated": "deprecated is not supported",
    "id": "id is not supported",
    "patternProperties": "patternProperties is not supported",
    "readOnly": "readOnly is not supported",
    "writeOnly": "writeOnly is not supported",
    "xml": "xml is not supported",
    "discriminator": "discriminator is not supported",
}
_KEEP, _EMBEDDED, _INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"


def faults(schema: Obj) -> list[Fault]:
    """Return all that keeps a schema from being served, sorted as kube sorts them."""
    found = sorted(_schema(schema, "", "root"), key=lambda fault: f"{fault.field}: {fault.message}")
    if found:
        return found
    return [*_defaults(Node(schema, builtin=False), ""), *celrules.definition_faults(root_node(schema))]


def _schema(schema: Obj, path: str, level: str) -> Iterator[Fault]:
    """Check one schema of the structure and those below."""
    yield from _type(schema, path, level)
    yield from _lists(schema, path)
    yield from _extensions(schema, path, level)
    for name, words in _UNSUPPORTED.items():
        if name in schema:
            yield forbidden(child(path, name), words)
    for name, below in (schema.get("properties") or {}).items():
        yield from _schema(below, f"{child(path, 'properties')}[{name}]", "field")
    if isinstance(schema.get("items"), dict):
        yield from _schema(schema["items"], child(path, "items"), "item")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _schema(schema["additionalProperties"], child(path, "additionalProperties"), "field")
    yield from _junctors(schema, path)
    yield from _completeness(schema, schema, path)


def _type(schema: Obj, path: str, level: str) -> Iterator[Fault]:
    kind, at = schema.get("type") or "", child(path, "type")
    if schema.get(_EMBEDDED) and kind != "object":
        words = "must be object if x-kubernetes-embedded-resource is true"
        yield invalid(at, kind, words) if kind else required(at, words)
    elif not kind and not schema.get(_INT_OR_STRING) and not schema.get(_KEEP):
        yield required(at, _LEVELS[level])
    elif kind and kind not in _TYPES:
        supported = ", ".join(f'"{name}"' for name in _TYPES)
        yield Fault(at, "FieldValueNotSupported", f'Unsupported value: "{kind}": supported values: {supported}')
    if level == "root" and kind and kind != "object":
        yield invalid(at, kind, "must be object at the root")


def _extensions(schema: Obj, path: str, level: str) -> Iterator[Fault]:
    """Check keywords that exclude each other."""
    if schema.get(_INT_OR_STRING) and schema.get(_KEEP):
        yield invalid(child(path, _KEEP), schema[_KEEP], "must be false if x-kubernetes-int-or-string is true")
    if level == "root" and "additionalProperties" in schema:
        yield forbidden(child(path, "additionalProperties"), "must not be used at the root")
    if "additionalProperties" in schema and schema.get("properties"):
        yield forbidden(child(path, "additionalProperties"), "additionalProperties and properties are mutual exclusive")
    if schema.get("additionalProperties") is False:
        yield forbidden(child(path, "additionalProperties"), "additionalProperties cannot be set to false")
    if schema.get("uniqueItems"):
        yield forbidden(child(path, "uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")
    metadata = (schema.get("properties") or {}).get("metadata", {}) if level == "root" else {}
    if set(metadata.get("properties") or ()) - {"name", "generateName"}:
        words = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden(f"{child(path, 'properties')}[metadata]", words)


def _lists(schema: Obj, path: str) -> Iterator[Fault]:
    """Check items, list types and their keys."""
    if schema.get("type") == "array" and not schema.get("items"):
        yield required(child(path, "items"), "must be specified")
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    at = child(path, "x-kubernetes-list-map-keys")
    if list_type == "map" and not keys:
        yield required(at, "must not be empty if x-kubernetes-list-type is map")
    if keys and list_type != "map":
        words = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield invalid(child(path, "x-kubernetes-list-type"), list_type, words)
    items = schema.get("items") or {}
    for index, key in enumerate(keys if list_type == "map" else ()):
        if key not in (items.get("properties") or {}):
            yield invalid(f"{at}[{index}]", key, "entries must all be names of item properties")
        elif key not in (items.get("required") or ()) and "default" not in items["properties"][key]:
            words = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{child(path, 'items')}.properties[{key}].default", words)


def _junctors(schema: Obj, path: str) -> Iterator[Fault]:
    """Check what stands under allOf, anyOf, oneOf and not, and the pattern."""
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, nested in enumerate(schema.get(keyword) or ()):
            if not _is_int_or_string_pattern(schema, nested):
                yield from _nested(nested, f"{child(path, keyword)}[{index}]")
    if schema.get("not"):
        yield from _nested(schema["not"], child(path, "not"))
    if schema.get("pattern"):
        yield from _pattern(schema["pattern"], child(path, "pattern"))


def _is_int_or_string_pattern(schema: Obj, nested: Obj) -> bool:
    types = ({"type": "integer"}, {"type": "string"})
    return bool(schema.get(_INT_OR_STRING)) and (nested in types or nested.get("anyOf") == list(types))


def _pattern(pattern: str, at: str) -> Iterator[Fault]:
    try:
        regular.check(pattern)
    except regular.PatternError as fault:
        yield invalid(at, pattern, f"must be a valid regular expression, but isn't: error parsing regexp: {fault}")


def _nested(schema: Obj, path: str) -> Iterator[Fault]:
    """Check a schema under a junctor: it may restrict values, not give structure."""
    for keyword, words in _NESTED_FORBIDDEN.items():
        if schema.get(keyword) or (keyword == "default" and keyword in schema):
            yield forbidden(child(path, keyword), words)
    for name, below in (schema.get("properties") or {}).items():
        at = f"{child(path, 'properties')}[{name}]"
        if name == "metadata":
            yield forbidden(at, "must not be specified in a nested context")
        yield from _nested(below, at)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], child(path, "items"))
    yield from _junctors(schema, path)


def _completeness(schema: Obj, outer: Obj, path: str) -> Iterator[Fault]:
    """Check that what junctors speak of is part of the structure."""
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, nested in enumerate(schema.get(keyword) or ()):
            yield from _described(nested, outer, f"{child(path, keyword)}[{index}]", path)
    if schema.get("not"):
        yield from _described(schema["not"], outer, child(path, "not"), path)


def _described(nested: Obj, outer: Obj, path: str, outer_path: str) -> Iterator[Fault]:
    known = outer.get("properties") or {}
    for name, below in (nested.get("properties") or {}).items():
        if name in known:
            yield from _described(below, known[name], f"{child(path, 'properties')}[{name}]", f"{child(outer_path, 'properties')}[{name}]")
        else:
            yield required(f"{child(outer_path, 'properties')}[{name}]", f"because it is defined in {child(path, 'properties')}[{name}]")
    if nested.get("items") and not outer.get("items"):
        yield required(child(outer_path, "items"), f"because it is defined in {child(path, 'items')}")
    yield from _completeness(nested, outer, path)


def _defaults(node: Node, path: str) -> Iterator[Fault]:
    """Check that defaults are valid themselves."""
    if node.has_default:
        at = child(path, "default")
        for fault in checking.faults(node.raw["default"], node):
            yield Fault(at if not fault.field else f"{at}.{fault.field}", fault.type, fault.message)
    for name, below in node.properties.items():
        if below.go_type == "":
            yield from _defaults(below, f"{child(path, 'properties')}[{name}]")
    if node.additional is not None:
        yield from _defaults(node.additional, child(path, "additionalProperties"))
    if isinstance(node.raw.get("items"), dict):
        yield from _defaults(node.items, child(path, "items"))

"""Request bodies: JSON, YAML or the protobuf of kubectl, to plain objects, with the sentences in which a bad one is refused."""

import json
import math
from collections.abc import Iterable
from typing import Any

import orjson
import yaml

from kubernaut.localcluster import errors, protobuf
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.negotiation import ACCEPTED, JSON, PROTOBUF, YAML

BODY_MAX = 3 * 1024 * 1024
_SHOWN = 30
_DEEPEST = 200
_LEAST_VALUES = 100_000
"""How many values a YAML document may always have; beyond, no more than twice its bytes."""
_EXPECTED = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting value": "looking for beginning of value",
    "Expecting ',' delimiter": "after object key:value pair",
    "Expecting ':' delimiter": "after object key",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Extra data": "after top-level value",
}
_GO_STRUCT = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


class NotJsonError(ValueError):
    """Text that is no JSON, in Go's words."""


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters; none counts as JSON."""
    return content_type.split(";", maxsplit=1)[0].strip().lower() or JSON


def json_value(text: bytes) -> Any:
    """Parse JSON; raise NotJsonError in the words of Go's decoder."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _slow(text)
    if text.count(b"{") + text.count(b"[") > _DEEPEST:
        _refuse_depth(value)
    return value


def _refuse_depth(value: Any) -> None:
    """Refuse what is nested deeper than the walks of this server can follow; Go's decoder stops at 10,000 levels."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [item for held in level for item in _held(held)]
        if not level:
            return
    raise NotJsonError("exceeded max depth")


def _held(value: Any) -> Iterable[Any]:
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in nested if isinstance(item, (dict, list))]


def _slow(text: bytes) -> Any:
    # numbers beyond 64 bits and stray surrogates pass here; what does not gets Go's sentence
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except NotJsonError:
        raise
    except json.JSONDecodeError as error:
        raise NotJsonError(_go_words(error)) from error
    except UnicodeDecodeError as error:
        raise NotJsonError("invalid UTF-8 in string") from error
    except RecursionError as error:
        raise NotJsonError("exceeded max depth") from error
    except ValueError as error:
        raise NotJsonError("a number is out of range") from error


def _refuse_constant(name: str) -> None:
    raise NotJsonError(f"invalid character {name.lstrip('-')[0]!r} looking for beginning of value")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise NotJsonError(f"a number is out of range: {text[:_SHOWN]}")
    return number


def _go_words(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    return f"invalid character {error.doc[error.pos]!r} {_EXPECTED.get(error.msg, 'looking for beginning of value')}"


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    shown = body[:_SHOWN].decode(errors="replace") if body[:1] == b"{" else body[:_SHOWN].hex()
    return shown + (" ..." if len(body) > _SHOWN else "")


def _unrecognized(kind: ResourceKind, why: str, body: bytes) -> errors.ApiError:
    return errors.bad_request(f"the object provided is unrecognized (must be of type {kind.kind}): {why} ({_summary(body)})")


def decode(kind: ResourceKind, body: bytes, content_type: str) -> tuple[Obj, list[str]]:
    """Return the object of a body and the notices about it (duplicate fields); raise ApiError 400, 415 or 422."""
    media = media_type(content_type)
    if media not in ACCEPTED:
        raise errors.unsupported_media_type(ACCEPTED)
    obj, noticed = _read(kind, body, media)
    _check_type(kind, obj, body)
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = _metadata(kind, obj.get("metadata"))
    return obj, noticed


def _metadata(kind: ResourceKind, found: object) -> Obj:
    if found is None:
        return {}
    text = f"json: cannot unmarshal {go_type(found)} into Go struct field {kind.kind}.metadata of type v1.ObjectMeta"
    raise errors.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {text}')


def _read(kind: ResourceKind, body: bytes, media: str) -> tuple[Obj, list[str]]:
    if media == PROTOBUF:
        try:
            return protobuf.decode(body), []
        except ValueError as error:
            raise _unrecognized(kind, str(error), body) from error
    value = _yaml(kind, body) if media == YAML else _json(kind, body)
    if not isinstance(value, dict):
        raise _not_an_object(kind, value, body)
    return value, [] if media == YAML else duplicates(body)


def _json(kind: ResourceKind, body: bytes) -> Any:
    try:
        return json_value(body)
    except NotJsonError as error:
        raise _unrecognized(kind, f"couldn't get version/kind; json parse error: {error}", body) from error


def _yaml(kind: ResourceKind, body: bytes) -> Any:
    try:
        return yaml_value(body)
    except ValueError as error:
        raise _unrecognized(kind, str(error), body) from error


def yaml_value(body: bytes) -> Any:
    """Parse YAML (or JSON) into what JSON can hold; raise ValueError in Go's words."""
    try:
        _refuse_deep_yaml(body)
        value = yaml.load(body, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"error converting YAML to JSON: yaml: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"error converting YAML to JSON: yaml: {error}") from error
    return _AsJson(max(_LEAST_VALUES, 2 * len(body))).copy(value, 0)


def _refuse_deep_yaml(body: bytes) -> None:
    """Refuse deep nesting before anything is built: the library's builder is C that calls itself, and would end the process."""
    depth = 0
    for event in yaml.parse(body, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError("error converting YAML to JSON: yaml: exceeded max depth")


class _AsJson:
    """Copies a YAML value as JSON can hold it: keys become text, `true` and numbers too. Aliases may not multiply it beyond bounds."""

    def __init__(self, most: int) -> None:
        self._left = most

    def copy(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError("error converting YAML to JSON: yaml: document contains excessive aliasing")
        if depth > _DEEPEST:
            raise ValueError("error converting YAML to JSON: yaml: exceeded max depth")
        if isinstance(value, dict):
            return {self._key(key): self.copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.copy(item, depth + 1) for item in value]
        if value is None or isinstance(value, (str, int, float)):
            return value
        raise ValueError(f"error converting YAML to JSON: yaml: a {type(value).__name__} has no place in JSON")

    def _key(self, key: Any) -> str:
        if key is None or isinstance(key, (str, int, float)):
            return key if isinstance(key, str) else orjson.dumps(key).decode()
        raise ValueError(f"error converting YAML to JSON: yaml: invalid map key: {key!r}")


class _Loader(yaml.CSafeLoader):
    """YAML as JSON sees it: times stay text."""


_Loader.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for letter, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def go_type(value: object) -> str:
    """Return what Go's decoder calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    names = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _not_an_object(kind: ResourceKind, value: object, body: bytes) -> errors.ApiError:
    if value is None:
        return _unrecognized(kind, "Object 'Kind' is missing in 'null'", body)
    return _unrecognized(
        kind,
        f"couldn't get version/kind; json parse error: json: cannot unmarshal {go_type(value)} into Go value of type {_GO_STRUCT}",
        body,
    )


def _check_type(kind: ResourceKind, obj: Obj, body: bytes) -> None:
    asked, version = obj.get("kind") or "", obj.get("apiVersion") or ""
    if kind.custom and not asked:
        raise _unrecognized(kind, f"Object 'Kind' is missing in '{body.decode(errors='replace')}'", body)
    if version and version != kind.api_version:
        error = errors.bad_request(f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})")
        error.warnings = unread_fields(kind, obj)
        raise error
    if asked and asked != kind.kind:
        raise _other_kind(kind, asked, obj)
    obj |= {"kind": kind.kind, "apiVersion": kind.api_version}


def unread_fields(kind: ResourceKind, obj: Obj) -> list[str]:
    """Return the warnings of a custom resource in a version that is not served: all but its metadata is unknown there."""
    if not kind.custom or obj.get("apiVersion") in (None, "", kind.api_version):
        return []
    return [f'unknown field "{field}"' for field in sorted(obj) if field not in {"apiVersion", "kind", "metadata"}]


def _other_kind(kind: ResourceKind, asked: str, obj: Obj) -> errors.ApiError:
    if not kind.custom:
        home = kind.group.split(".")[0] or "core"
        text = f"converting ({kind.version}.{asked}) to ({home}.{kind.kind}): unknown conversion"
        return errors.bad_request(f'{asked} in version "{kind.version}" cannot be handled as a {kind.kind}: {text}')
    fault = FieldFault("kind", "FieldValueInvalid", f'Invalid value: "{asked}": must be {kind.kind}')
    return errors.invalid_named(asked, kind.group, (obj.get("metadata") or {}).get("name") or "", [fault])


class _Twice(Exception):  # noqa: N818 - a signal inside this module
    """Some object of the body has a key twice."""


def _refuse_twice(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Twice


def duplicates(body: bytes) -> list[str]:
    """Return a notice for each key that an object of the body has twice."""
    if _is_plain(body):
        return []
    try:
        json.loads(body, object_pairs_hook=_refuse_twice)
    except _Twice:
        return [f'duplicate field "{path}"' for path in _twice(json.loads(body, object_pairs_hook=_Pairs), "")]
    except ValueError:
        return []
    return []


def _is_plain(body: bytes) -> bool:
    """Tell whether a body is JSON as a program writes it: what reads and writes the same has no key twice."""
    try:
        return orjson.dumps(orjson.loads(body)) == body
    except orjson.JSONDecodeError:
        return False


class _Pairs(list[tuple[str, Any]]):
    """An object with all its keys."""


def _twice(node: object, path: str) -> Iterable[str]:
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for key, value in node:
            here = f"{path}.{key}".lstrip(".")
            if key in seen:
                yield here
            seen.add(key)
            yield from _twice(value, here)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _twice(item, f"{path}[{index}]")

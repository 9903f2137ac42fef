"""Lists: from now, from a past version or page by page, with the tokens that carry on a paged list."""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from kubernaut.localcluster import errors, faces
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.parameters import Parameters
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.selecting import Selection
from kubernaut.localcluster.store import Key, Record

_TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - the version of a continue token
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the "
    "provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first "
    "chunk was returned and now may show up in the list."
)
_NOW = -1


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a list, checked."""

    version: int = 0
    exact: bool = False
    limit: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list: the records, the version they are of, and how to go on."""

    records: list[Record]
    revision: int
    token: str = ""
    remaining: int | None = None

    def metadata(self, kind: ResourceKind) -> Obj:
        """Return the list's metadata."""
        meta: Obj = {"continue": self.token} if self.token or kind.custom else {}
        if self.remaining:
            meta["remainingItemCount"] = self.remaining
        return meta | {"resourceVersion": str(self.revision)}


def parse_version(text: str) -> int:
    """Return a resourceVersion as a number, 0 where absent; raise ValueError in the server's words."""
    if not text:
        return 0
    if not text.isdigit():
        raise ValueError(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def read(parameters: Parameters) -> Asked:
    """Check the options of a list; raise ApiError 400 or 422."""
    version, match, token = parameters.text("resourceVersion"), parameters.text("resourceVersionMatch"), parameters.text("continue")
    if parameters.has("sendInitialEvents"):
        raise _refused("sendInitialEvents", "FieldValueForbidden", "Forbidden: sendInitialEvents is forbidden for list")
    _check_match(version, match)
    if token and version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    limit = max(parameters.number("limit") or 0, 0)
    if token and version == "0":
        limit = 0
    try:
        return Asked(parse_version(version), match == "Exact" or (limit > 0 and not match and version not in ("", "0")), limit, token)
    except ValueError as error:
        raise errors.bad_request(f"invalid resource version: {error}") from error


def _refused(field: str, type_: str, text: str) -> errors.ApiError:
    return errors.invalid_options("ListOptions", field, type_, text)


def _check_match(version: str, match: str) -> None:
    if match and not version:
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise _refused("resourceVersionMatch", "FieldValueForbidden", text)
    if match not in {"", "Exact", "NotOlderThan"}:
        text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        raise _refused("resourceVersionMatch", "FieldValueNotSupported", text)
    if match == "Exact" and version == "0":
        text = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        raise _refused("resourceVersionMatch", "FieldValueForbidden", text)


def page(registry: Registry, kind: ResourceKind, namespace: str, selection: Selection, asked: Asked) -> Page:
    """Return the page asked for; raise ApiError 400, 410 or 504."""
    revision, after = _place(kind, namespace, asked)
    if revision > registry.store.revision:
        raise errors.future_version(revision, registry.store.revision)
    now = revision in (_NOW, 0) or not (asked.exact or asked.token)
    if now:
        return _cut(registry.store.scan(kind.stored, namespace, after), registry.store.revision, selection, asked.limit, namespace)
    return _cut(_past(registry, kind, namespace, revision, after, asked), revision, selection, asked.limit, namespace)


def _past(registry: Registry, kind: ResourceKind, namespace: str, revision: int, after: Key | None, asked: Asked) -> list[Record]:
    if revision == registry.store.revision:
        return list(registry.store.scan(kind.stored, namespace, after))
    try:
        then = registry.store.at(kind.stored, revision)
    except errors.ApiError as error:
        if asked.token and after:
            raise _token_expired(after, namespace) from error
        raise errors.expired("The resourceVersion for the provided list is too old.") from error
    return [then[key] for key in sorted(then) if (not namespace or key[0] == namespace) and (after is None or key > after)]


def _token_expired(after: Key, namespace: str) -> errors.ApiError:
    error = errors.expired(_EXPIRED)
    error.metadata = {"continue": _token(_NOW, after, namespace)}
    return error


def _cut(records: Iterable[Record], revision: int, selection: Selection, limit: int, namespace: str) -> Page:
    chosen = [record for record in records if selection(record)] if not selection.empty else list(records)
    if not limit or len(chosen) <= limit:
        return Page(chosen, revision)
    rest = len(chosen) - limit if selection.empty else None
    return Page(chosen[:limit], revision, _token(revision, chosen[limit - 1].key, namespace), rest)


def _token(revision: int, last: Key, namespace: str) -> str:
    start = (last[1] if namespace or not last[0] else "/".join(last)) + "\0"
    return base64.urlsafe_b64encode(orjson.dumps({"v": _TOKEN_VERSION, "rv": revision, "start": start})).rstrip(b"=").decode()


def _place(kind: ResourceKind, namespace: str, asked: Asked) -> tuple[int, Key | None]:
    if not asked.token:
        return asked.version, None
    read_back = _decode(asked.token)
    if read_back.get("v") != _TOKEN_VERSION:
        raise _bad_token(f"server does not recognize this encoded version {read_back.get('v')}")
    start = str(read_back.get("start", "")).rstrip("\0").lstrip("/")
    if kind.namespaced and not namespace:
        first, _, second = start.partition("/")
        return int(read_back["rv"]), (first, second)
    return int(read_back["rv"]), (namespace, start)


def _decode(token: str) -> Obj:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        value = json.loads(raw.decode())
    except (binascii.Error, UnicodeDecodeError) as error:
        first = error.object[0] if isinstance(error, UnicodeDecodeError) else 0
        raise _bad_token(f"invalid character '\\x{first:02x}' looking for beginning of value") from error
    except json.JSONDecodeError as error:
        raise _bad_token("unexpected end of JSON input") from error
    version = value.get("rv", 0) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(version, int) or isinstance(version, bool):
        raise _bad_token("json: cannot unmarshal a value into Go value of type storage.continueToken")
    if not isinstance(value.get("start", ""), str):
        raise _bad_token("json: cannot unmarshal a value into Go struct field continueToken.start of type string")
    if value.get("v") == _TOKEN_VERSION and version == 0:
        raise _bad_token("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    return value


def _bad_token(why: str) -> errors.ApiError:
    return errors.bad_request(f"invalid continue token: continue key is not valid: {why}")


def items(kind: ResourceKind, records: Iterable[Record]) -> list[bytes]:
    """Return the JSON of each record as a list shows it: built-in kinds without apiVersion and kind."""
    if kind.custom:
        return [record.data if faces.as_stored(kind, record.obj) else _item(kind, faces.shown(kind, record)) for record in records]
    if kind.api_version != kind.hub:
        return [_item(kind, faces.shown(kind, record)) for record in records]
    head = len(orjson.dumps({"apiVersion": kind.api_version, "kind": kind.kind}))
    return [b"{" + record.data[head:] for record in records]


def _item(kind: ResourceKind, obj: Obj) -> bytes:
    return orjson.dumps(obj if kind.custom else {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}})


def encode(kind: ResourceKind, found: Page) -> bytes:
    """Return the JSON of a list."""
    head = orjson.dumps({"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": found.metadata(kind)})
    return head[:-1] + b',"items":[' + b",".join(items(kind, found.records)) + b"]}"

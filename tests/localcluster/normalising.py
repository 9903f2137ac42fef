"""What two answers to one request may differ in: the normalisation that the recordings' README states."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Obj = dict[str, Any]

_NAMED_UIDS = {"11111111-1111-1111-1111-111111111111", "21111111-1111-1111-1111-111111111111"}
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_AGE = re.compile(r"(\d+y)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?|<unknown>|<invalid>")
_IN_TEXTS = (
    (re.compile(r"(too old resource version: )\d+ \(\d+\)"), r"\1<rv>"),
    (re.compile(r"(Too large resource version: \d+, current: )\d+"), r"\1<rv>"),
    (re.compile(r"(in the precondition \()\d+(\) does not match the ResourceVersion in record \()\d+"), r"\1<rv>\2<rv>"),
    (re.compile(r'(\\*"resourceVersion\\*":\s*\\*")\d+'), r"\1<rv>"),
    (re.compile(r'(resourceVersion: ")\d+'), r"\1<rv>"),
    (re.compile(r'by ClusterRoleBinding "system:[a-z-]+" of ClusterRole "system:[a-z-]+"'), "by <a system binding>"),
    (re.compile(r"kube-api-access-[a-z0-9]{5}"), "kube-api-access-<generated>"),
    (re.compile(r"(is invalid: patch: Invalid value: |^Invalid value: (?=.*managedFields)).*", re.DOTALL), r"\1<object>"),
)
_MASKED: Mapping[str, str] = {
    **dict.fromkeys(("creationTimestamp", "deletionTimestamp", "lastTransitionTime", "lastUpdateTime", "lastProbeTime"), "<time>"),
    **dict.fromkeys(("time", "expirationTimestamp"), "<time>"),
    **dict.fromkeys(("hash", "serverRelativeURL", "storageVersionHash"), "<hash>"),
    **dict.fromkeys(("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform", "gitVersion"), "<build>"),
    "resourceVersion": "<rv>",
    "continue": "<continue>",
    "ca.crt": "<certificate>",
    "token": "<token>",
}
_COMPARED_HEADERS = ("content-type", "warning", "retry-after", "allow", "www-authenticate", "location")


def text(value: str) -> str:
    """Mask what differs inside a text."""
    value = _UUID.sub(lambda found: found[0] if found[0] in _NAMED_UIDS else "<uid>", value)
    for pattern, mask in _IN_TEXTS:
        value = pattern.sub(mask, value)
    return value


def timeless(value: str) -> str:
    """Mask what differs inside a text, times too."""
    return _TIME.sub("<time>", text(value))


def headers(given: Mapping[str, str]) -> Obj:
    """Keep the headers that mean something."""
    found = {name.lower(): value for name, value in given.items()}
    etag = {"etag": "<etag>"} if "etag" in found else {}
    return {name: found[name] for name in _COMPARED_HEADERS if name in found} | etag


def body(value: Any, *, managed: bool = False) -> Any:
    """Return a decoded answer with all that may differ masked; `managed` keeps managedFields."""
    if isinstance(value, list):
        return [body(item, managed=managed) for item in value]
    if isinstance(value, dict):
        return _ordered({key: _member(key, item, managed=managed) for key, item in value.items() if managed or key != "managedFields"})
    return text(value) if isinstance(value, str) else value


def _member(key: str, value: Any, *, managed: bool) -> Any:
    if key == "cells":
        return _ageless(value)
    if key == "rows":
        # of a table that is cut down, only the cells are left
        return [_ageless(row) if isinstance(row, list) else body(row, managed=managed) for row in value]
    if key == "authentication.kubernetes.io/credential-id":
        return "<token>"
    if isinstance(value, str):
        return _text_member(key, value)
    return body(value, managed=managed)


def _ageless(cells: list[Any]) -> list[Any]:
    return ["<age>" if isinstance(cell, str) and cell and _AGE.fullmatch(cell) else body(cell) for cell in cells]


def _text_member(key: str, value: str) -> str:
    if key in _MASKED:
        # whether there is a version or a token to go on with is meaningful
        return value if key in {"resourceVersion", "continue"} and not value else _MASKED[key]
    return timeless(value) if key == "message" else text(value)


def _ordered(obj: Obj) -> Obj:
    """Mask generated names and bring into one order what comes in any."""
    prefix, name = obj.get("generateName"), obj.get("name")
    if isinstance(prefix, str) and isinstance(name, str) and name.startswith(prefix):
        obj["name"] = prefix + "<generated>"
    if obj.get("kind") == "APIResourceList":
        obj["resources"].sort(key=lambda row: row["name"])
    for key in ("nonResourceRules", "resourceRules", "managedFields"):
        if isinstance(obj.get(key), list):
            obj[key].sort(key=_as_json)
    if obj.get("kind") == "Status":
        _order_causes(obj)
    return obj


def _order_causes(status: Obj) -> None:
    causes = (status.get("details") or {}).get("causes") or []
    if len(causes) < 2:
        return
    causes.sort(key=_as_json)
    start, told, _ = status["message"].partition(" is invalid: [")
    first, *rest = status["message"].split("\n- ")
    status["message"] = f"{start} is invalid: <causes>" if told else "\n- ".join([first, *sorted(rest)])


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _names(answer: Obj, _wanted: Obj) -> Obj:
    return {**answer, "items": [row["metadata"]["name"] for row in answer["items"]]}


def _cells(answer: Obj, _wanted: Obj) -> Obj:
    return {**answer, "rows": [row["cells"] for row in answer["rows"]]}


def _containers(answer: Obj, _wanted: Obj) -> Obj:
    return {"spec": {"template": {"spec": {"containers": answer["spec"]["template"]["spec"]["containers"]}}}}


def _scale(answer: Obj, _wanted: Obj) -> Obj:
    return {"metadata": {"generation": answer["metadata"]["generation"]}, "spec": {"replicas": answer["spec"]["replicas"]}}


def _rows(field: str) -> Callable[[Obj, Obj], Obj]:
    def cut(answer: Obj, wanted: Obj) -> Obj:
        names = {row["name"] for row in wanted[field]}
        return {**answer, field: [row for row in answer[field] if row["name"] in names]}

    return cut


def _items(answer: Obj, wanted: Obj) -> Obj:
    names = {row["metadata"]["name"] for row in wanted["items"]}
    return {**answer, "items": [row for row in answer["items"] if row["metadata"].get("name") in names]}


def _paths(answer: Obj, wanted: Obj) -> Obj:
    if isinstance(wanted["paths"], list):
        return {"paths": [path for path in answer["paths"] if path in wanted["paths"]]}
    return {**answer, "paths": {path: row for path, row in answer["paths"].items() if path in wanted["paths"]}}


def _path_names(answer: Obj, _wanted: Obj) -> Obj:
    return {"openapi": answer["openapi"], "info": answer["info"], "paths": sorted(answer["paths"])}


_CUTS: tuple[tuple[str, Callable[[Obj, Obj], Obj]], ...] = (
    ("items cut down to their names", _names),
    ("rows cut down to their cells", _cells),
    ("only the containers kept", _containers),
    ("only metadata.generation and spec.replicas kept", _scale),
    ("groups: only", _rows("groups")),
    ("resources: only", _rows("resources")),
    ("items: only", _items),
    ("paths: only", _paths),
    ("only openapi, info and the list of paths kept", _path_names),
)


def trimmed(note: str, answer: Any, wanted: Obj) -> Any:
    """Cut an answer down as the recorded one was, which its note tells; an answer of another shape stays whole."""
    cut = next((cut for start, cut in _CUTS if note.startswith(start)), None)
    if cut is None:
        return answer
    try:
        return cut(answer, wanted)
    except (KeyError, TypeError):
        return answer


def difference(wanted: Any, found: Any, path: str = "") -> str:
    """Descend to where two values part, and show both there."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        parted = [key for key in sorted(wanted.keys() | found.keys()) if key not in wanted or key not in found or wanted[key] != found[key]]
        if len(parted) == 1 and parted[0] in wanted and parted[0] in found:
            return difference(wanted[parted[0]], found[parted[0]], f"{path}/{parted[0]}")
        wanted, found = ({key: side[key] for key in parted if key in side} for side in (wanted, found))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        index = next(index for index, pair in enumerate(zip(wanted, found, strict=True)) if pair[0] != pair[1])
        return difference(wanted[index], found[index], f"{path}/{index}")
    return f"at {path or '/'}\n    expected {_as_json(wanted)[:1500]}\n    got      {_as_json(found)[:1500]}"

"""Objects in YAML and JSON files, each with the place where it stands, so that a fault can be told where it is."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from kubernaut.api.base import Obj, Unusable

SUFFIXES: Final = {".yaml", ".yml", ".json"}
FILE_LIMIT: Final = 256 * 1024 * 1024
"""How many bytes of one file are read."""


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: times stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [row for row in rows if row[0] != "tag:yaml.org,2002:timestamp"]
    for first, rows in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Document:
    """One object and where it was read."""

    obj: Obj
    place: str
    """`file:line (document N)`."""


def read_all(paths: Iterable[Path]) -> list[Document]:
    """Return all objects of files, of directories' files by name, or of standard input (`-`); raise Unusable telling file and line."""
    return [document for path in paths for file in _files(path) for document in _read(file)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    if not found:
        raise Unusable(f"{path}: there is no {', '.join(sorted(SUFFIXES))} file")
    return found


def _text(path: Path) -> str:
    try:
        if str(path) == "-":
            return sys.stdin.read(FILE_LIMIT)
        if path.stat().st_size > FILE_LIMIT:
            raise Unusable(f"{path}: larger than {FILE_LIMIT} bytes")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error


def _read(path: Path) -> Iterator[Document]:
    text = _text(path)
    if path.suffix == ".json" and (value := _json(text)) is not None:
        yield from _objects(value, f"{path}:1 (document 1)")
        return
    loader = _Loader(text)
    try:
        number = 0
        while loader.check_node() and (node := loader.get_node()):
            number += 1
            yield from _objects(_as_json(loader.construct_document(node)), f"{path}:{node.start_mark.line + 1} (document {number})")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unusable(f"{path}:{mark.line + 1 if mark else 1}: no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise Unusable(f"{path}: no YAML: {error}") from error
    finally:
        loader.dispose()


def _json(text: str) -> Any:
    """Return what a text of JSON says, a hundred times faster than as YAML; None for what is none: YAML's reader tells the place."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _as_json(value: Any) -> Any:
    """Return what YAML says as JSON can: all keys are text."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else orjson.dumps(key).decode(): _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


def _objects(value: Any, place: str) -> Iterator[Document]:
    if value is None:
        return
    _check(value, place)
    if value["kind"].endswith("List") and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from _objects(_typed(item, value), f"{place}, items[{index}]")
        return
    meta = value.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str) or not meta["name"]:
        raise Unusable(f"{place}: {value['kind']} has no metadata.name")
    yield Document(value, place)


def _typed(item: Any, of: Obj) -> Any:
    """Return an item with the kind of its list, which API servers and `kubectl cluster-info dump` leave out of the items."""
    kind = of["kind"].removesuffix("List")
    if not kind or not isinstance(item, dict) or item.get("kind"):
        return item
    return {"apiVersion": of["apiVersion"], "kind": kind, **item}


def _check(value: Any, place: str) -> None:
    if not isinstance(value, dict):
        raise Unusable(f"{place}: a Kubernetes object is expected, not {type(value).__name__}")
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            raise Unusable(f"{place}: {field} is missing")

"""The OpenAPI schemas of the built-in kinds, read once from `data/openapi.json.gz`.

`definitions` is what the OpenAPI endpoints serve; `builtin_schema` is what `schema.Schema` compiles: the same with every reference
replaced by what it refers to, as shared Python objects (so the tree of CustomResourceDefinition is cyclic).
"""

import gzip
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

Obj = dict[str, Any]

DEFINITION = "x-definition"
"""Added to each resolved definition: its name (`io.k8s.api.core.v1.PodSpec`), by which Go fields, defaults and rules are looked up."""

_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


@cache
def definitions() -> Mapping[str, Obj]:
    """Return the raw definitions by name; references have the form `#/components/schemas/NAME`. Never mutate them."""
    packed = resources.files("kubernaut.localcluster").joinpath("data/openapi.json.gz").read_bytes()
    loaded: dict[str, Obj] = json.loads(gzip.decompress(packed))
    return loaded


def builtin_schema(group: str, version: str, kind: str) -> Obj:
    """Return the resolved schema of a built-in kind; raises KeyError where there is none. Never mutate it."""
    return _resolved()[definition_name(group, version, kind)]


def definition_name(group: str, version: str, kind: str) -> str:
    """Return the name of a kind's definition; raises KeyError where there is none."""
    return _names()[group, version, kind]


def object_meta() -> Obj:
    """Return the resolved schema of ObjectMeta."""
    return _resolved()[_OBJECT_META]


@cache
def _names() -> Mapping[tuple[str, str, str], str]:
    """Index the definitions by group, version and kind."""
    return {
        (row["group"], row["version"], row["kind"]): name
        for name, definition in definitions().items()
        for row in definition.get("x-kubernetes-group-version-kind", ())
    }


@cache
def _resolved() -> Mapping[str, Obj]:
    """Resolve all definitions."""
    done: dict[str, Obj] = {}
    for name in definitions():
        _definition(name, done)
    return done


def _definition(name: str, done: dict[str, Obj]) -> Obj:
    """Resolve one definition; one that is still under way is given as the object that will hold it."""
    if name not in done:
        shell = done[name] = {DEFINITION: name}
        shell.update(_resolve(definitions()[name], done))
    return done[name]


def _resolve(node: Any, done: dict[str, Obj]) -> Any:
    """Replace references by what they refer to; one with keywords beside it (`allOf` of one) becomes a copy with these on top."""
    if isinstance(node, list):
        return [_resolve(item, done) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return _definition(node["$ref"].rpartition("/")[2], done)
    if len(node.get("allOf", ())) == 1:
        (target,) = _resolve(node["allOf"], done)
        return {**target, **{key: value for key, value in node.items() if key != "allOf"}}
    return {key: _resolve(value, done) for key, value in node.items()}

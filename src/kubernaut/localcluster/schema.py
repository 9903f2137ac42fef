"""The schema of one kind in one version, compiled once: what the registry prunes, defaults and validates every object with.

Works on built-in kinds (`builtin.builtin_schema`) and on the `openAPIV3Schema` of custom resource definitions alike; the two differ as
they do in the API server: a built-in object is decoded into Go types, a custom one is JSON under a structural schema.
"""

import copy
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import orjson

from kubernaut.localcluster import celrules, checking, decoding, structural, typed_defaults
from kubernaut.localcluster.faults import NOT_CHECKED, Fault, blocks_rules, child
from kubernaut.localcluster.nodes import ANY, Node, root_node

__all__ = ["Fault", "Schema"]

Obj = dict[str, Any]
COMPILED_KEPT = 64
"""Schemas that are kept once nobody uses them any more; one of ours takes some 100 KB."""


class Schema:
    """A compiled schema. Objects given to `prune` and `default` are changed in place; the schema itself is never changed."""

    def __init__(self, openapi: Obj, *, embedded_metadata: bool = True) -> None:
        """Compile an OpenAPI schema without `$ref`; `embedded_metadata` is False for bodies that are no objects with metadata."""
        self.definition = openapi
        self._embedded_metadata = embedded_metadata

    @cached_property
    def node(self) -> Node:
        """The compiled root, metadata included: what `apply`, `strategic_patch` and `update_managed` take as schema."""
        return root_node(self.definition, embedded_metadata=self._embedded_metadata)

    def prune(self, obj: Obj) -> list[str]:
        """Drop what the schema does not know; return the dropped paths as kube names them (`spec.containers[0].bogus`)."""
        dropped: list[str] = []
        _prune(obj, self.node, "", dropped)
        return dropped if self.node.builtin else sorted(dropped)

    def default(self, obj: Obj) -> None:
        """Fill in defaults and drop nulls that are no values; of a built-in object also what its Go type would leave out when empty."""
        if self.node.builtin:
            decoding.tidy(obj, self.node)
            typed_defaults.fill(obj, self.node)
        else:
            _default(obj, self.node)
            _drop_nulls(obj, self.node)

    def decode_fault(self, obj: Obj) -> str | None:
        """Return the sentence in which decoding a built-in object fails, or None; of a custom one only its metadata is decoded.

        `json: cannot unmarshal number into Go struct field ConfigMap.data of type string` and the like: the tail of a 400.
        """
        return decoding.fault(obj, self.node)

    def validate(self, obj: Obj, old: Obj | None = None, *, before: Sequence[Fault] = ()) -> list[Fault]:
        """Return all faults: structure, bounds, enums, formats, list types, then CEL rules, transition rules against `old` among them.

        When one of these faults, or of `before` (those found elsewhere in the same object), makes CEL rules impossible to check, a
        fault on `<nil>` says so instead. An object that was invalid before may stay so: faults of custom resources in parts that
        did not change are left out.
        """
        if self.node.builtin:
            return checking.required_faults(obj, self.node)
        faults = checking.faults(obj, self.node, old)
        if not self.node.has_rules:
            return faults
        if blocks_rules([*before, *faults]):
            return [*faults, Fault("<nil>", "FieldValueInvalid", NOT_CHECKED)]
        return [*faults, *celrules.faults(obj, self.node, old)]

    @cached_property
    def definition_faults(self) -> Sequence[Fault]:
        """What keeps the schema from being structural, paths from `openAPIV3Schema` down; empty when it may be served."""
        return tuple(structural.faults(self.definition))


def compiled(openapi: Obj) -> Schema:
    """Return the compiled schema of a definition's version; one that says the same is compiled once for all clusters of a process."""
    return _compiled(orjson.dumps(openapi))


@lru_cache(maxsize=COMPILED_KEPT)
def _compiled(text: bytes) -> Schema:
    return Schema(orjson.loads(text))


def _prune(value: Any, node: Node, path: str, dropped: list[str]) -> None:
    """Drop unknown members of a value, in place."""
    if isinstance(value, dict) and node.type in {"", "object"}:
        for name in list(value):
            below = node.member(name)
            if below is None:
                dropped.append(child(path, name))
                del value[name]
            elif below is not ANY and isinstance(value[name], (dict, list)):
                _prune(value[name], below, child(path, name), dropped)
    elif isinstance(value, list) and node.items is not ANY:
        for index, item in enumerate(value):
            if isinstance(item, (dict, list)):
                _prune(item, node.items, f"{path}[{index}]", dropped)


def _default(value: Any, node: Node) -> None:
    """Set defaults where a member is absent, or null without being nullable, top down."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _defaulted(item, node.items)
    if not isinstance(value, dict):
        return
    for name, below in node.properties.items():
        if name not in value and below.has_default:
            value[name] = copy.deepcopy(below.raw["default"])
    for name in value:
        below_or_none = node.member(name)
        if below_or_none is not None:
            value[name] = _defaulted(value[name], below_or_none)


def _defaulted(value: Any, node: Node) -> Any:
    """Return a value with its defaults, or its own default for a null that is none."""
    if value is None and not node.nullable and node.has_default:
        value = copy.deepcopy(node.raw["default"])
    _default(value, node)
    return value


def _drop_nulls(value: Any, node: Node) -> None:
    """Drop members that are null without being nullable."""
    if isinstance(value, list):
        for item in value:
            _drop_nulls(item, node.items)
    if not isinstance(value, dict):
        return
    for name in list(value):
        below = node.properties.get(name) or node.additional
        if below is None or below.keeps_unknown:
            continue
        if value[name] is None and not below.nullable:
            del value[name]
        else:
            _drop_nulls(value[name], below)

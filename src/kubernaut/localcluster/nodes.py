"""A schema compiled to nodes: what pruning, defaulting, validation, apply and strategic merge all walk.

A node is made when it is first asked for, so cyclic schemas (CustomResourceDefinition) cost only what a walk touches.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from kubernaut.localcluster.builtin import DEFINITION, object_meta

Obj = dict[str, Any]

_KEEP = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_TYPE_META: Mapping[str, Obj] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}


class Node:
    """One schema: its keywords, and the nodes of its members and items."""

    __slots__ = ("__dict__", "builtin", "raw")

    def __init__(self, raw: Obj, *, builtin: bool) -> None:
        """Keep the schema; `builtin` tells whether it is a Go type (true) or part of a custom resource."""
        self.raw = raw
        self.builtin = builtin

    @cached_property
    def type(self) -> str:
        """The JSON type, empty where any is allowed."""
        named = self.raw.get("type", "")
        if not named and ("properties" in self.raw or "additionalProperties" in self.raw):
            return "object"
        return str(named)

    @cached_property
    def go_type(self) -> str:
        """The Go type with its group (`core.v1.PodSpec`), empty where the schema is not a named definition."""
        return ".".join(self.definition.split(".")[-3:])

    @cached_property
    def definition(self) -> str:
        """The name of the definition (`io.k8s.api.core.v1.PodSpec`), empty where the schema has none."""
        return str(self.raw.get(DEFINITION, ""))

    @cached_property
    def format(self) -> str:
        """The format, empty where none."""
        return str(self.raw.get("format", ""))

    @cached_property
    def nullable(self) -> bool:
        """Whether null is a value."""
        return bool(self.raw.get("nullable"))

    @cached_property
    def int_or_string(self) -> bool:
        """Whether both an integer and a text are allowed."""
        return bool(self.raw.get(_INT_OR_STRING))

    @cached_property
    def embedded(self) -> bool:
        """Whether the value is itself a Kubernetes object."""
        return bool(self.raw.get(_EMBEDDED))

    @cached_property
    def properties(self) -> Mapping[str, "Node"]:
        """The named members."""
        named: dict[str, Obj] = dict(self.raw.get("properties") or {})
        if self.embedded and not self.builtin:
            named = with_object_members(named)
        return {name: Node(schema, builtin=self.builtin or DEFINITION in schema) for name, schema in named.items()}

    @cached_property
    def additional(self) -> "Node | None":
        """The node of members that are not named, None where there may be none."""
        schema = self.raw.get("additionalProperties")
        if schema is True:
            return ANY
        return Node(schema, builtin=self.builtin) if isinstance(schema, dict) else None

    @cached_property
    def items(self) -> "Node":
        """The node of list items."""
        schema = self.raw.get("items")
        return Node(schema, builtin=self.builtin) if isinstance(schema, dict) else ANY

    @cached_property
    def keeps_unknown(self) -> bool:
        """Whether members that are not described stay: free-form JSON."""
        if self.builtin:
            return not self.raw.get("properties") and "additionalProperties" not in self.raw
        return bool(self.raw.get(_KEEP))

    @cached_property
    def required(self) -> frozenset[str]:
        """The members that must be there."""
        return frozenset(self.raw.get("required") or ())

    @cached_property
    def has_default(self) -> bool:
        """Whether absence means a value."""
        return "default" in self.raw

    @cached_property
    def list_keys(self) -> tuple[str, ...]:
        """The members that tell the items of a `map` list apart."""
        return tuple(self.raw.get("x-kubernetes-list-map-keys") or ())

    @cached_property
    def list_type(self) -> str:
        """`map`, `set` or `atomic`; atomic where nothing is said."""
        return str(self.raw.get("x-kubernetes-list-type") or "atomic")

    @cached_property
    def atomic(self) -> bool:
        """Whether a list or map has one owner as a whole."""
        if self.type == "array":
            return self.list_type == "atomic"
        return self.raw.get("x-kubernetes-map-type") == "atomic"

    @cached_property
    def merge_key(self) -> str:
        """The strategic merge key of a list, empty for lists of texts."""
        return str(self.raw.get("x-kubernetes-patch-merge-key") or "")

    @cached_property
    def strategies(self) -> frozenset[str]:
        """The strategic merge strategies: merge, replace, retainKeys."""
        return frozenset(str(self.raw.get("x-kubernetes-patch-strategy") or "").split(",")) - {""}

    @cached_property
    def rules(self) -> tuple[Obj, ...]:
        """The CEL rules of this node itself."""
        return tuple(self.raw.get("x-kubernetes-validations") or ())

    @cached_property
    def has_rules(self) -> bool:
        """Whether this node or one below it has CEL rules."""
        return _mentions_rules(self.raw)

    def member(self, name: str) -> "Node | None":
        """Return the node of a member, None where the member is unknown."""
        return self.properties.get(name) or self.additional or (ANY if self.keeps_unknown else None)


ANY = Node({_KEEP: True}, builtin=False)
"""Free-form JSON."""


def root_node(openapi: Obj, *, embedded_metadata: bool = True) -> Node:
    """Compile the schema of a whole object; a custom one gets apiVersion, kind and ObjectMeta."""
    if DEFINITION in openapi or not embedded_metadata:
        return Node(openapi, builtin=DEFINITION in openapi)
    return Node({**openapi, "properties": with_object_members(openapi.get("properties") or {})}, builtin=False)


def with_object_members(properties: Mapping[str, Obj]) -> dict[str, Obj]:
    """Add what every Kubernetes object has; a custom schema may only narrow metadata.name and generateName."""
    meta = object_meta()
    narrowed: Iterable[tuple[str, Obj]] = (properties.get("metadata", {}).get("properties") or {}).items()
    metadata = {**meta, "properties": {**meta["properties"], **dict(narrowed)}}
    return {**properties, **_TYPE_META, "metadata": metadata}


def _mentions_rules(schema: object) -> bool:
    """Look for CEL rules anywhere in a (custom, so acyclic) schema."""
    if isinstance(schema, list):
        return any(_mentions_rules(item) for item in schema)
    if not isinstance(schema, dict):
        return False
    return bool(schema.get("x-kubernetes-validations")) or any(_mentions_rules(value) for value in schema.values())

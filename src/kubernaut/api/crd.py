"""Write a CustomResourceDefinition from a resource model.

The API server wants a structural OpenAPI v3.0 schema: every node typed, nothing referenced, nothing recursive.
Pydantic writes JSON Schema 2020-12. The difference is small and stands whole in `structural`.
"""

import json
from functools import cache
from typing import Any

from kubernaut.api.base import EMPTY, Obj, Resource

COPIED = (
    "type", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "minProperties", "maxProperties",
    "enum", "default", "description", "nullable", "x-kubernetes-validations", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string",
)  # fmt: skip


class NotStructural(TypeError):  # noqa: N818  (says what the model is)
    """A model holds something the API server cannot describe."""


def crd(model: type[Resource]) -> Obj:
    """Return the CustomResourceDefinition of a resource model, ready for YAML."""
    card = model.card
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{card.plural}.{card.group}"},
        "spec": {
            "group": card.group,
            "scope": "Namespaced" if card.namespaced else "Cluster",
            "names": {
                "kind": card.kind,
                "listKind": f"{card.kind}List",
                "plural": card.plural,
                "singular": card.kind.lower(),
                "shortNames": list(card.short),
                "categories": ["kubernaut"],
            },
            "versions": [_version(model)],
        },
    }


def _version(model: type[Resource]) -> Obj:
    card = model.card
    selectable = [{"jsonPath": path} for path in card.selectable]
    return {
        "name": card.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": title, "type": kind, "jsonPath": path} for title, kind, path in card.columns],
        **({"selectableFields": selectable} if selectable else {}),
        "schema": {"openAPIV3Schema": openapi(model)},
    }


def openapi(model: type[Resource]) -> Obj:
    """Return the structural schema of a whole object, the caller's own."""
    schema: Obj = json.loads(_written(model))
    return schema


@cache
def _written(model: type[Resource]) -> str:
    """Write a model's schema, which takes pydantic some 20 ms, once in a process."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    schema = structural(raw, raw.get("$defs", {}), at=model.card.kind)
    schema["properties"]["metadata"] = {"type": "object"}
    schema["properties"]["status"].pop("default", None)
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    return json.dumps(schema)


def structural(node: Obj, defs: dict[str, Obj], *, at: str, trail: tuple[str, ...] = ()) -> Obj:
    """Rewrite one JSON Schema node as a structural one; raise NotStructural when it has no such form."""
    node, trail = _resolve(node, defs, at, trail)
    if "anyOf" in node or "oneOf" in node:
        node, trail = _resolve(_unwrap_optional(node, at), defs, at, trail)
    out = {key: node[key] for key in COPIED if key in node}
    if "const" in node:
        out["enum"] = [node["const"]]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in node:
            out |= {limit: node[bound], bound: True}
    if "default" in out and (default := _without_empty(out.pop("default"))) not in EMPTY:
        out["default"] = default
    _add_children(out, node, defs, at, trail)
    if "type" not in out and "x-kubernetes-int-or-string" not in out:
        raise NotStructural(f"{at} has no single type")
    return out


def _add_children(out: Obj, node: Obj, defs: dict[str, Obj], at: str, trail: tuple[str, ...]) -> None:
    """Add the structural forms of properties, map values and list items."""
    if properties := node.get("properties"):
        out["properties"] = {name: structural(child, defs, at=f"{at}.{name}", trail=trail) for name, child in properties.items()}
        if required := node.get("required"):
            out["required"] = required
    elif out.get("x-kubernetes-preserve-unknown-fields"):
        pass
    elif isinstance(extra := node.get("additionalProperties"), dict):
        out["additionalProperties"] = structural(extra, defs, at=f"{at}[*]", trail=trail)
    elif out.get("type") == "object":
        out["x-kubernetes-preserve-unknown-fields"] = True
    if "items" in node:
        out["items"] = structural(node["items"], defs, at=f"{at}[]", trail=trail)


def _without_empty(value: Any) -> Any:
    """Defaults may not hold nulls, and empty ones would only be noise in every object."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := _without_empty(item)) not in EMPTY}
    return value


def _resolve(node: Obj, defs: dict[str, Obj], at: str, trail: tuple[str, ...]) -> tuple[Obj, tuple[str, ...]]:
    """Follow a reference, keeping what stands beside it (a description, a default)."""
    if "$ref" not in node:
        return node, trail
    name = node["$ref"].rsplit("/", 1)[1]
    if name in trail:
        raise NotStructural(f"{at} recurses into {name}")
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return defs[name] | beside, (*trail, name)


def _unwrap_optional(node: Obj, at: str) -> Obj:
    """`T | None` is T, not required; any other union has no structural form."""
    union: list[Obj] = node.get("anyOf") or node.get("oneOf") or []
    branches = [branch for branch in union if branch.get("type") != "null"]
    if len(branches) != 1:
        raise NotStructural(f"{at} is a union; give it a discriminator field and one optional field a branch")
    return branches[0] | {key: value for key, value in node.items() if key not in ("anyOf", "oneOf")}

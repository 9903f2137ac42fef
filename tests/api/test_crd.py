"""Definitions made from models: structural, documented, and refused where a model has no such form."""

from typing import Annotated

import pytest
from pydantic import Field, create_model

from kubernaut.api.base import FreeForm, Kind, Model, Resource, Rule, Status, cel
from kubernaut.api.crd import NotStructural, crd, openapi
from kubernaut.api.kinds import ALL

every_kind = pytest.mark.parametrize("model", ALL, ids=lambda model: model.card.kind)
TYPES = {"object", "array", "string", "integer", "number", "boolean"}
FORBIDDEN = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "const", "additionalItems", "definitions"}


def nodes(schema, at=""):
    """Give every schema node with its path."""
    yield at, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{at}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], at + suffix)


@every_kind
def test_every_node_is_structural(model):
    for path, node in nodes(openapi(model)):
        assert node["type"] in TYPES, path
        assert not FORBIDDEN & set(node), path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert node.get("default") not in ("", [], {}), f"{path}: an empty default is noise in every object"


@every_kind
def test_a_kinds_card_says_what_kubernetes_needs_to_know(model):
    definition = crd(model)
    spec, card = definition["spec"], model.card
    assert definition["metadata"]["name"] == f"{card.plural}.{card.group}"
    assert (spec["names"]["kind"], spec["names"]["shortNames"]) == (card.kind, list(card.short))
    assert [version["name"] for version in spec["versions"] if version["storage"]] == [card.version]
    assert spec["versions"][0]["subresources"] == {"status": {}}


@every_kind
def test_columns_and_selectable_fields_name_fields_that_exist(model):
    known = {path for path, _ in nodes(openapi(model))} | {".metadata.creationTimestamp"}
    for _, _, path in model.card.columns:
        assert path.replace("[0]", "[]") in known
    assert set(model.card.selectable) <= known


@every_kind
def test_every_kind_and_its_parts_say_what_they_are(model):
    schema = openapi(model)
    for node in (schema, *(schema["properties"][part] for part in ("spec", "status"))):
        assert node["description"].endswith((".", "?"))


def test_short_names_and_plurals_are_taken_once():
    names = [name for model in ALL for name in (*model.card.short, model.card.plural, model.card.kind.lower())]
    assert len(names) == len(set(names))


@every_kind
def test_conditions_are_a_map_by_type_so_that_two_writers_can_apply_them(model):
    conditions = openapi(model)["properties"]["status"]["properties"]["conditions"]
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])


class Part(Model):
    """A part."""

    size: Annotated[int, Field(gt=0, lt=10)] = 3
    """How many."""
    free: FreeForm = {}
    word: str | None = None


@cel(Rule("self.first.size > 1", "must be more than one"))
class WidgetSpec(Model):
    """What is wanted."""

    first: Part
    """The first of them."""
    others: dict[str, Part] = {}
    rows: list[Part] = []


class Widget(Resource):
    """A widget."""

    card = Kind(kind="Widget", plural="widgets", group="test.example", version="v1")
    spec: WidgetSpec
    status: Status = Status()


def test_references_are_written_out_and_keep_the_words_beside_them():
    spec = openapi(Widget)["properties"]["spec"]
    first = spec["properties"]["first"]
    assert first["description"] == "The first of them."
    assert first["properties"]["size"] == {
        "type": "integer",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 10,
        "exclusiveMaximum": True,
        "default": 3,
        "description": "How many.",
    }
    assert spec["required"] == ["first"]
    assert spec["properties"]["rows"]["items"]["properties"] == spec["properties"]["others"]["additionalProperties"]["properties"]


def test_an_optional_field_is_its_type_and_a_free_form_one_keeps_what_comes():
    part = openapi(Widget)["properties"]["spec"]["properties"]["first"]["properties"]
    assert part["word"] == {"type": "string"}
    assert part["free"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_rules_stand_on_the_type_they_are_about():
    rules = openapi(Widget)["properties"]["spec"]["x-kubernetes-validations"]
    assert rules == [{"rule": "self.first.size > 1", "message": "must be more than one"}]


def test_a_status_has_no_default_so_that_it_is_absent_until_written():
    assert "default" not in openapi(Widget)["properties"]["status"]


class Tree(Model):
    """Refers to itself."""

    below: "list[Tree]" = []


class UnionSpec(Model):
    """A union."""

    either: int | str


class LooseSpec(Model):
    """A list of anything."""

    rows: list[object] = []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(Tree, "recurses into Tree", id="recursion"),
        pytest.param(UnionSpec, "Odd.spec.either is a union", id="a union"),
        pytest.param(LooseSpec, r"Odd.spec.rows\[\] has no single type", id="no type"),
    ],
)
def test_what_has_no_structural_form_is_refused_by_its_path(spec, said):
    odd = create_model("Odd", __base__=Resource, spec=(spec, ...), status=(Status, Status()))
    odd.card = Kind(kind="Odd", plural="odds")
    with pytest.raises(NotStructural, match=said):
        crd(odd)

from typing import Any

import pytest

from kubernaut.localcluster.faults import NOT_CHECKED, Fault, required
from kubernaut.localcluster.schema import Schema
from tests.localcluster.widgets import schema, widget

BLOCKED = ("<nil>", "FieldValueInvalid", NOT_CHECKED)


def told(faults) -> list[tuple[str, str, str]]:
    return sorted((fault.field, fault.type, fault.message) for fault in faults)


def checked(obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, str, str]]:
    rules = schema()
    for each in (obj, old or {}):
        rules.default(each)
    return told(rules.validate(obj, old))


# what a real kube-apiserver 1.36 says of each of these widgets
@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        pytest.param(
            {"size": "huge"},
            [("spec.size", "FieldValueNotSupported", 'Unsupported value: "huge": supported values: "small", "medium", "large"'), BLOCKED],
            id="enum",
        ),
        pytest.param(
            {"owner": "Ann"},
            [("spec.owner", "FieldValueInvalid", "Invalid value: \"Ann\": spec.owner in body should match '^[a-z][a-z0-9-]*$'")],
            id="pattern",
        ),
        pytest.param(
            {"owner": ""},
            [("spec.owner", "FieldValueInvalid", 'Invalid value: "": spec.owner in body should be at least 1 chars long')],
            id="minLength hides pattern",
        ),
        pytest.param(
            {"owner": "a" * 21}, [("spec.owner", "FieldValueTooLong", "Too long: may not be more than 20 bytes"), BLOCKED], id="maxLength"
        ),
        pytest.param(
            {"replicas": "three"},
            [
                (
                    "spec.replicas",
                    "FieldValueTypeInvalid",
                    'Invalid value: "string": spec.replicas in body must be of type integer: "string"',
                ),
                BLOCKED,
            ],
            id="type",
        ),
        pytest.param(
            {"replicas": -1},
            [("spec.replicas", "FieldValueInvalid", "Invalid value: -1: spec.replicas in body should be greater than or equal to 0")],
            id="minimum",
        ),
        pytest.param(
            {"replicas": 11},
            [("spec.replicas", "FieldValueInvalid", "Invalid value: 11: spec.replicas in body should be less than or equal to 10")],
            id="maximum",
        ),
        pytest.param(
            {"replicas": 1.5},
            [
                (
                    "spec.replicas",
                    "FieldValueTypeInvalid",
                    'Invalid value: "number": spec.replicas in body must be of type integer: "number"',
                ),
                (
                    "<nil>",
                    "FieldValueInvalid",
                    'Invalid value: "": Checked value must be of type integer (default format) in spec.replicas',
                ),
                BLOCKED,
            ],
            id="a number for an integer",
        ),
        pytest.param({"tags": ["a", "a"]}, [("spec.tags[1]", "FieldValueDuplicate", 'Duplicate value: "a"')], id="set"),
        pytest.param(
            {"ports": [{"name": "a"}, {"name": "a", "port": 3}]},
            [("spec.ports[1]", "FieldValueDuplicate", 'Duplicate value: {"name":"a"}')],
            id="map",
        ),
        pytest.param(
            {"tags": ["a", "b", "c", "d", "e"]},
            [("spec.tags", "FieldValueTooMany", "Too many: 5: must have at most 4 items"), BLOCKED],
            id="maxItems",
        ),
        pytest.param(
            {"size": "small", "replicas": 5},
            [("spec", "FieldValueInvalid", "Invalid value: small widgets have at most 3 replicas")],
            id="CEL rule",
        ),
        pytest.param(
            {"when": "yesterday"},
            [
                (
                    "spec.when",
                    "FieldValueTypeInvalid",
                    'Invalid value: "yesterday": spec.when in body must be of type date-time: "yesterday"',
                ),
                BLOCKED,
            ],
            id="format",
        ),
        pytest.param(
            {"limit": True},
            [
                (
                    "spec.limit",
                    "FieldValueTypeInvalid",
                    'Invalid value: "boolean": spec.limit in body must be of type integer,string: "boolean"',
                ),
                BLOCKED,
            ],
            id="int-or-string",
        ),
        pytest.param({"size": None}, [("spec.size", "FieldValueRequired", "Required value"), BLOCKED], id="null of a required field"),
        pytest.param(
            {"settings": {"a": 5}},
            [
                (
                    "spec.settings.a",
                    "FieldValueTypeInvalid",
                    'Invalid value: "integer": spec.settings.a in body must be of type string: "integer"',
                ),
                BLOCKED,
            ],
            id="a map value",
        ),
        pytest.param({"ports": [{"port": 1}]}, [("spec.ports[0].name", "FieldValueRequired", "Required value"), BLOCKED], id="in a list"),
        pytest.param(
            {"replicas": None, "limit": "10%", "note": None, "when": "2024-01-02T03:04:05Z", "free": {"x": [None]}}, [], id="valid"
        ),
    ],
)
def test_a_widget_is_judged_in_the_words_of_the_api_server(spec, causes):
    assert checked(widget(**spec)) == sorted(causes)


def test_an_absent_spec_is_required():
    assert checked({"metadata": {}}) == sorted([("spec", "FieldValueRequired", "Required value"), BLOCKED])


def test_a_spec_of_another_type_is_refused():
    words = 'Invalid value: "string": spec in body must be of type object: "string"'
    assert checked({"metadata": {}, "spec": "text"}) == sorted([("spec", "FieldValueTypeInvalid", words), BLOCKED])


def test_faults_found_elsewhere_block_cel_rules_too():
    rules, obj = schema(), widget()
    rules.default(obj)
    assert told(rules.validate(obj, before=[required("metadata.name")])) == [BLOCKED]


def test_a_transition_rule_needs_a_former_value():
    engine = ("spec.engine", "FieldValueInvalid", 'Invalid value: "turbo": engine is immutable')
    assert checked(widget(engine="turbo")) == []
    assert checked(widget(engine="turbo"), widget(engine="standard")) == [engine]


def test_rules_and_faults_that_block_nothing_are_told_together():
    found = checked(widget(engine="turbo", owner="BAD"), widget())
    assert [field for field, _, _ in found] == ["spec.engine", "spec.owner"]


def test_what_was_invalid_before_may_stay_so():
    assert checked(widget(size="huge", owner="bob"), widget(size="huge")) == []


def test_a_value_changed_from_one_fault_to_another_is_refused():
    assert checked(widget(size="vast"), widget(size="huge"))[-1][0] == "spec.size"


def test_defaults_are_filled_in_down_to_list_items_and_nulls_vanish():
    obj = widget(replicas=None, note=None, when=None, ports=[{"name": "a"}], free={"kept": None})
    schema().default(obj)
    assert obj["spec"] == {
        "size": "medium",
        "owner": "ann",
        "replicas": 1,
        "engine": "standard",
        "note": None,
        "nested": {"on": True},
        "ports": [{"name": "a", "protocol": "TCP"}],
        "free": {"kept": None},
    }


def test_defaults_are_copies():
    rules, one, two = schema(), widget(), widget()
    rules.default(one)
    one["spec"]["nested"]["on"] = False
    rules.default(two)
    assert two["spec"]["nested"] == {"on": True}


def test_unknown_fields_are_dropped_and_named():
    obj = widget(bogus=1, nested={"bogus": 2}, free={"any": 1}, settings={"any": "s"}, ports=[{"name": "a", "x": 1}])
    obj |= {"bogusTop": 1}
    obj["metadata"] |= {"bogusMeta": 1, "labels": {"any": "x"}}
    dropped = schema().prune(obj)
    assert dropped == ["bogusTop", "metadata.bogusMeta", "spec.bogus", "spec.nested.bogus", "spec.ports[0].x"]
    assert obj == {
        **widget(nested={}, free={"any": 1}, settings={"any": "s"}, ports=[{"name": "a"}]),
        "metadata": {"name": "x", "labels": {"any": "x"}},
    }


EMBEDDING = {
    "type": "object",
    "properties": {
        "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
        "raw": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
    },
}


def test_an_embedded_object_keeps_what_every_object_has():
    template = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "bogus": 1}, "spec": {"bogus": 1}, "bogus": 1}
    obj: dict[str, Any] = {"template": template, "raw": {"apiVersion": "v1", "kind": "Y", "any": {"thing": 1}}}
    dropped = Schema(EMBEDDING).prune(obj)
    assert dropped == ["template.bogus", "template.metadata.bogus", "template.spec.bogus"]
    assert obj["raw"]["any"] == {"thing": 1}


def test_an_embedded_object_must_say_what_it_is():
    found = told(Schema(EMBEDDING).validate({"template": {"kind": "X"}}))
    assert found == [("template.apiVersion", "FieldValueRequired", "Required value: must not be empty")]


def one(definition: dict[str, Any]) -> Schema:
    return Schema({"type": "object", "properties": {"v": definition}})


@pytest.mark.parametrize(
    ("definition", "value", "message"),
    [
        ({"type": "number", "multipleOf": 0.5}, 0.7, "Invalid value: 0.7: v in body should be a multiple of 0.5"),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, 1, "Invalid value: 1: v in body should be less than 1"),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, 1, "Invalid value: 1: v in body should be greater than 1"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [], "Invalid value: 0: v in body should have at least 1 items"),
        (
            {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1},
            {"a": "", "b": ""},
            "Too many: 2: must have at most 1 item",
        ),
        (
            {"type": "integer", "format": "int32"},
            2**31,
            'Invalid value: "": Checked value must be of type integer with format int32 in v',
        ),
        ({"type": "string", "format": "ipv4"}, "1.2.3", 'Invalid value: "1.2.3": v in body must be of type ipv4: "1.2.3"'),
        ({"type": "array", "items": {"type": "string"}}, [None], 'Invalid value: "null": v[0] in body must be of type string: "null"'),
        ({"type": "boolean", "enum": [True]}, False, 'Unsupported value: false: supported values: "true"'),
        (
            {"type": "integer", "oneOf": [{"minimum": 5}, {"minimum": 7}]},
            8,
            'Invalid value: "": "v" must validate one and only one schema (oneOf). Found 2 valid alternatives',
        ),
        ({"type": "integer", "not": {"minimum": 5}}, 8, 'Invalid value: "": "v" must not validate the schema (not)'),
    ],
)
def test_further_keywords(definition, value, message):
    assert [fault.message for fault in one(definition).validate({"v": value})] == [message]


def test_a_failed_any_of_tells_its_nearest_alternative():
    rules = one({"type": "integer", "anyOf": [{"minimum": 5, "multipleOf": 5}, {"maximum": 1}]})
    messages = [fault.message for fault in rules.validate({"v": 2})]
    assert messages == [
        'Invalid value: "": "v" must validate at least one schema (anyOf)',
        "Invalid value: 2: v in body should be less than or equal to 1",
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2024-02-29T23:59:59.5+02:00", "2024-02-30T00:00:00Z"),
        ("date", "2024-01-01", "2024-13-01"),
        ("duration", "1h30m", "soon"),
        ("duration", "3 days", "3"),
        ("byte", "YQ==", "a"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("ipv6", "::1", "1.2.3.4"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
        ("hostname", "a.example.com", "a..b"),
        ("email", "a@b.c", "a"),
        ("uri", "https://a/b", "a b"),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("k8s-short-name", "a-b", "a.b"),
        ("k8s-long-name", "a.b", "A"),
    ],
)
def test_formats(name: str, good: str, bad: str):
    assert one({"type": "string", "format": name}).validate({"v": good}) == []
    assert [fault.type for fault in one({"type": "string", "format": name}).validate({"v": bad})] == ["FieldValueTypeInvalid"]


def test_an_unknown_format_is_no_rule():
    assert one({"type": "string", "format": "colour"}).validate({"v": "x"}) == []


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ({"type": "object", "properties": {"a": {}}}, required("properties[a].type", "must not be empty for specified object fields")),
        ({"properties": {}}, required("type", "must not be empty at the root")),
        ({"type": "array"}, None),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, required("properties[a].items", "must be specified")),
        (
            {"type": "object", "properties": {"a": {"type": "string", "default": 5}}},
            Fault(
                "properties[a].default",
                "FieldValueTypeInvalid",
                'Invalid value: "integer":  in body must be of type string: "integer"',
            ),
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"properties": {"b": {"minLength": 1}}}]},
            required("properties[b]", "because it is defined in anyOf[0].properties[b]"),
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string", "anyOf": [{"type": "string"}]}}},
            Fault("properties[a].anyOf[0].type", "FieldValueForbidden", "Forbidden: must be empty to be structural"),
        ),
        (
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"}}},
            required("properties[a].x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"),
        ),
        (
            {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}},
            Fault(
                "properties[metadata]",
                "FieldValueForbidden",
                "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            ),
        ),
    ],
)
def test_a_schema_that_is_not_structural_is_refused(definition, fault):
    found = Schema(definition).definition_faults
    assert found if fault is None else fault in found


def test_the_schema_of_widgets_is_structural():
    assert schema().definition_faults == ()


def test_a_rule_that_names_an_unknown_member_does_not_compile():
    definition = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": "self.nosuch == 1"}]}}}
    (fault,) = Schema(definition).definition_faults
    assert fault.field == "properties[spec].x-kubernetes-validations[0].rule"
    assert fault.message == (
        'Invalid value: {"Rule":"self.nosuch == 1","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}:'
        " compilation failed: ERROR: <input>:1:5: undefined field 'nosuch'\n | self.nosuch == 1\n | ....^"
    )

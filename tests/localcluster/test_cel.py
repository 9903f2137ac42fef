from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster import cel
from kubernaut.localcluster.schema import Schema

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def value_of(expression: str, **bindings: Any) -> Any:
    return cel.compile(expression, dict.fromkeys(bindings, "dyn")).evaluate(bindings)


@pytest.mark.parametrize(
    ("expression", "self", "value"),
    [
        ("self.size != 'small' || self.replicas <= 3", {"size": "small", "replicas": 4}, False),
        ("self.a.exists(x, x > 1) && self.a.all(x, x > 0)", {"a": [1, 2]}, True),
        ("self.a.map(x, x * 2).filter(x, x > 2)", {"a": [1, 2]}, [4]),
        ("has(self.b) || size(self.a) == 1", {"a": "x"}, True),
        ("self.a == null", {"a": None}, True),
        ("self.all(k, self[k] > 0)", {"x": 1, "y": 2}, True),
        ("self.?a.orValue(3)", {}, 3),
        ("self.matches('^[a-z]+$')", "abc", True),
        ("self.split(',').join('-').upperAscii()", "a,b", "A-B"),
        ("'%d of %s'.format([self, 'x'])", 3, "3 of x"),
        ("self.trim().startsWith('a')", " a ", True),
        ("self.find('[0-9]+') + ':' + self.findAll('[a-z]').join('')", "a12b3", "12:ab"),
        ("self.isSorted() && self.sum() == 6 && self.min() == 1 && self.max() == 3", [1, 2, 3], True),
        ("self.indexOf(2) == 1 && self.lastIndexOf(2) == 2 && self.indexOf(9) == -1", [1, 2, 2], True),
        ("sets.equivalent(self, [3, 1, 2, 1]) && sets.intersects(self, [1]) && !sets.contains(self, [9])", [1, 2, 3], True),
        ("quantity(self) == quantity('0.5') && quantity(self).isLessThan(quantity('1'))", "500m", True),
        ("quantity(self).add(quantity('1Gi')).compareTo(quantity('2Gi'))", "1Gi", 0),
        ("isQuantity(self) ? 'yes' : 'no'", "lots", "no"),
        ("url(self).getHostname() + url(self).getPort() + url(self).getEscapedPath()", "https://a.b:8443/c", "a.b8443/c"),
        ("isURL(self)", "nope", False),
        ("ip(self).family() == 4 && cidr('10.0.0.0/8').containsIP(self) && !isIP('x')", "10.1.2.3", True),
        ("duration('1h') > duration('59m') && timestamp(self).getFullYear() == 2024", "2024-01-01T00:00:00Z", True),
        ("type(self) == string", "x", True),
    ],
)
def test_an_expression_has_the_value_it_has_in_kubernetes(expression: str, self: Any, value: Any):
    assert value_of(expression, self=self) == value


@pytest.mark.parametrize(
    ("expression", "self", "words"),
    [
        ("self.size", {}, "no such key: size"),
        ("self.a.b == 1", {"a": {}}, "no such key: b"),
        ("self[3]", [1], "index out of bounds: 3"),
        ("self / 0", 1, "division by zero"),
        ("self.a + 1", {"a": "x"}, "no such overload"),
        ("self.startsWith('a')", 3, "no such overload"),
        ("self.min()", [], "min called on empty list"),
        ("self.isGreaterThan(quantity('1'))", {"a": 1}, "no such overload"),
    ],
)
def test_an_expression_without_a_value_says_why(expression: str, self: Any, words: str):
    with pytest.raises(cel.EvaluationError) as raised:
        value_of(expression, self=self)
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        ("nosuch(self)", 7, "undeclared reference to 'nosuch'"),
        ("1 == 1 && nosuch", 11, "undeclared reference to 'nosuch'"),
        ("self +", 7, "Syntax error"),
        ("1 == 'a'", 3, "found no matching overload for '_==_'"),
        ("cel.bind(x, 1, x)", 10, "undeclared reference"),
        ("kubernaut_values", 1, "undeclared reference"),
        ("math.greatest(1, 2)", 1, "undeclared reference"),
        ("self.transformMap(i, v, v)", 6, "not supported"),
        ("authorizer.group('')", 1, "undeclared reference to 'authorizer'"),
    ],
)
def test_what_is_not_there_is_a_compile_error_with_its_place(expression: str, column: int, words: str):
    with pytest.raises(cel.CelError) as raised:
        cel.compile(expression, {"self": "dyn"})
    assert (raised.value.line, raised.value.column) == (1, column)
    assert words in raised.value.message
    assert f"| {expression}" in raised.value.text


def test_the_place_of_an_error_is_told_over_lines():
    with pytest.raises(cel.CelError) as raised:
        cel.compile("self == 1 &&\n  nosuch", {"self": "dyn"})
    assert (raised.value.line, raised.value.column) == (2, 3)


def test_programs_are_compiled_once():
    assert cel.compile("self == 1", {"self": "dyn"}) is cel.compile("self == 1", {"self": "dyn"})


def test_times_may_stand_anywhere_in_a_value():
    self = {"list": [{"at": NOON, "n": 1}], "took": timedelta(minutes=5), 'odd"key\n': NOON, "plain": {"deep": [1, 2]}}
    assert value_of("self.list.all(x, x.at < timestamp('2024-01-02T00:00:00Z') && x.n == 1)", self=self) is True
    assert value_of("self.took + duration('5m') == duration('10m') && self.plain.deep[1] == 2", self=self) is True
    assert value_of("self.list[0].at == oldSelf", self=self, oldSelf=NOON) is True
    assert value_of("size(self)", self=self) == 4


@pytest.mark.parametrize(("former", "allowed"), [(None, True), (3, True), (5, False)])
def test_an_optional_former_value(former: int | None, allowed: bool):
    old = cel.Optional(former, present=former is not None)
    assert value_of("!oldSelf.hasValue() || self >= oldSelf.value()", self=4, oldSelf=old) is allowed


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("namespace", "__namespace__"),
        ("a-b", "a__dash__b"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("a__b", "a__underscores__b"),
        ("plain", "plain"),
    ],
)
def test_member_names_are_escaped_as_kubernetes_does(name: str, escaped: str):
    assert cel.escape(name) == escaped


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | texts
    | st.datetimes(datetime(1900, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(plain)
def test_every_value_comes_through_as_it_went_in(value):
    assert value_of("[self]", self=value) == [value]


def rules(*rules: dict[str, Any], **properties: Any) -> Schema:
    return Schema(
        {"type": "object", "properties": {"spec": {"type": "object", "properties": properties, "x-kubernetes-validations": list(rules)}}}
    )


def faults_of(schema: Schema, spec: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, str, str]]:
    found = schema.validate({"metadata": {}, "spec": spec}, {"metadata": {}, "spec": old} if old is not None else None)
    return [(fault.field, fault.type, fault.message) for fault in found]


INT = {"type": "integer"}


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"rule": "self.a > 5"}, ("spec", "FieldValueInvalid", "Invalid value: failed rule: self.a > 5")),
        ({"rule": "self.a > 5", "message": " too small "}, ("spec", "FieldValueInvalid", "Invalid value: too small")),
        (
            {"rule": "self.a > 5", "message": "m", "messageExpression": "'a is %d'.format([self.a])"},
            ("spec", "FieldValueInvalid", "Invalid value: a is 1"),
        ),
        ({"rule": "self.a > 5", "message": "m", "messageExpression": "self.b"}, ("spec", "FieldValueInvalid", "Invalid value: m")),
        ({"rule": "self.a > 5", "message": "m", "reason": "FieldValueForbidden"}, ("spec", "FieldValueForbidden", "Forbidden: m")),
        ({"rule": "self.a > 5", "message": "m", "fieldPath": ".a"}, ("spec.a", "FieldValueInvalid", "Invalid value: m")),
        (
            {"rule": "self.b > 5"},
            ("spec", "FieldValueInvalid", 'Invalid value: "object": no such key: b evaluating rule: self.b > 5'),
        ),
        ({"rule": "self.a > 0"}, None),
    ],
)
def test_a_broken_rule_is_told_as_it_asks_to_be(rule, fault):
    assert faults_of(rules(rule, a=INT, b=INT), {"a": 1}) == ([fault] if fault else [])


def test_a_rule_on_a_scalar_shows_the_value():
    schema = rules(a={**INT, "x-kubernetes-validations": [{"rule": "self > 5", "message": "small"}]})
    assert faults_of(schema, {"a": 1}) == [("spec.a", "FieldValueInvalid", "Invalid value: 1: small")]


def test_rules_of_items_see_their_former_self_by_key():
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "n": INT},
        "x-kubernetes-validations": [{"rule": "self.n >= oldSelf.n", "message": "shrinks"}],
    }
    schema = rules(l={"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})
    old = {"l": [{"name": "a", "n": 5}, {"name": "b", "n": 1}]}
    assert faults_of(schema, {"l": [{"name": "b", "n": 2}, {"name": "a", "n": 4}]}, old) == [
        ("spec.l[1]", "FieldValueInvalid", "Invalid value: shrinks")
    ]


def test_a_rule_that_takes_old_self_as_optional_runs_at_creation():
    rule = {"rule": "oldSelf.hasValue() || self.a == 0", "message": "starts at 0", "optionalOldSelf": True}
    schema = rules(rule, a=INT)
    assert faults_of(schema, {"a": 1}) == [("spec", "FieldValueInvalid", "Invalid value: starts at 0")]
    assert faults_of(schema, {"a": 1}, {"a": 0}) == []


def test_old_self_inside_a_text_makes_no_transition_rule():
    schema = rules({"rule": "self.a != 1 || 'oldSelf' == ''", "message": "m"}, a=INT)
    assert faults_of(schema, {"a": 1}) == [("spec", "FieldValueInvalid", "Invalid value: m")]


def test_times_and_reserved_words_are_seen_as_kubernetes_shows_them():
    time = {"type": "string", "format": "date-time"}
    schema = rules(
        {"rule": "self.from < self.to && self.__namespace__ == 'x' && self.m['a-b'] == 1 && self.f == 1.0"},
        **{
            "from": time,
            "to": time,
            "namespace": {"type": "string"},
            "m": {"type": "object", "additionalProperties": INT},
            "f": {"type": "number"},
        },
    )
    spec = {"from": "2024-01-01T09:00:00+02:00", "to": "2024-01-01T08:00:00Z", "namespace": "x", "m": {"a-b": 1}, "f": 1}
    assert faults_of(schema, spec) == []


def test_rules_at_the_root_see_only_the_names_of_metadata():
    schema = Schema({"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name.size() < 3", "message": "long name"}]})
    (fault,) = schema.validate({"metadata": {"name": "long", "labels": {}}})
    assert fault.message == "Invalid value: long name"


def test_a_rule_that_still_holds_for_what_did_not_change_is_forgiven():
    schema = rules({"rule": "self.a > 5", "message": "m"}, a=INT)
    assert faults_of(schema, {"a": 1}, {"a": 1}) == []
    assert faults_of(schema, {"a": 2}, {"a": 1}) != []

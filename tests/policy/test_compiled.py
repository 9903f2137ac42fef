"""Expressions are checked when they are read, and judged in order, with an account of which rule said what."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.policy.document import BrokenPolicy
from tests.policy.words import MEALS, policy

RULE = "rules:\n- name: a\n"


def first_problem(text):
    with pytest.raises(BrokenPolicy) as refused:
        policy(text)
    return str(refused.value.problems[0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            RULE + "  match: guest.nmae == 'x'\n  set: {dish: x}",
            "3:15: `match`: undeclared reference to 'guest.nmae'. The variables are guest.name, guest.age, hungry, budget, wishes",
            id="a misspelt variable",
        ),
        pytest.param(RULE + '  match: "angry"\n  set: {dish: x}', "3:11: `match`: undeclared reference to 'angry'", id="in quotes"),
        pytest.param(
            RULE + "  match: |\n    hungry\n      && angry\n  set: {dish: x}",
            "5:10: `match`: undeclared reference to 'angry'",
            id="in a block",
        ),
        pytest.param(
            RULE + "  match: >\n    hungry\n    && angry\n  set: {dish: x}",
            "3:10: `match`: undeclared reference to 'angry' (line 1, column 11 of the expression)",
            id="in a folded block: the place inside is told in words",
        ),
        pytest.param(
            RULE + "  match: guest.age > 'x'\n  set: {dish: x}", "3:20: `match`: found no matching overload for '_>_'", id="types"
        ),
        pytest.param(RULE + "  match: hungry &&\n  set: {dish: x}", "3:19: `match`: Syntax error", id="cut off"),
        pytest.param(
            RULE + "  match: guest.age\n  set: {dish: x}", "3:10: `match` must give bool, and this gives int", id="a match of numbers"
        ),
        pytest.param(
            RULE + "  match: namespace == 'x'\n  set: {dish: x}", "3:10: `match`: reserved identifier: namespace. The vari", id="reserved"
        ),
        pytest.param(
            RULE + "  compute: {dish: guest.age}",
            "3:19: `dish` must give string, and this gives int. Change the expression",
            id="a field's type",
        ),
        pytest.param(RULE + "  compute: {dish: \"wishes[?'x']\"}", "3:20: `dish` must give string, and this gives opt", id="an optional"),
        pytest.param(
            RULE + "  set: {drink: tea}",
            "3:9: there is nothing named 'drink' to set. A meal rule sets dish, size, plates, price, spicy, sideDishes",
            id="an unknown field",
        ),
        pytest.param(
            RULE + "  compute: {drink: guest.name}", "3:13: there is nothing named 'drink' to set", id="an unknown computed field"
        ),
        pytest.param(RULE + "  set: {size: huge}", "3:15: size: Input should be 'small' or 'large'", id="a value outside its choices"),
        pytest.param(
            RULE + "  set: {plates: 10}", "3:17: plates: Input should be less than or equal to 9", id="a value outside its bounds"
        ),
        pytest.param(RULE + "  set: {dish: [1]}", "3:15: dish: Input should be a valid string", id="a value of another type"),
        pytest.param(RULE + f"  match: {'(' * 400}hungry{')' * 400}\n  set: {{dish: x}}", "3:10: `match`", id="nested deep"),
    ],
)
def test_what_cannot_be_compiled_is_told_with_its_place(text, told):
    assert first_problem(text).startswith(f"menu.yaml:{told}")


MENU = """\
rules:
- name: child
  match: guest.age < 10
  set: {size: small, plates: 1}
- name: wish
  match: "'dish' in wishes"
  compute: {dish: wishes.dish.lowerAscii()}
- name: hungry
  match: hungry && budget >= 5.0
  set: {size: large, sideDishes: [bread, salad]}
- name: usual
  compute:
    dish: "'soup'"
    plates: 1 + 1
    price: 2.5
    spicy: "!hungry"
"""


def decided(verdict):
    return {name: match.rule for name in MEALS.fields if (match := verdict.deciding(name))}


def test_the_first_rule_that_holds_decides_a_field():
    verdict = policy(MENU).judge({"guest.age": 8, "wishes": {"dish": "Pasta"}, "hungry": True, "budget": 9.5})
    assert [match.rule for match in verdict.matches] == ["child", "wish", "hungry", "usual"]
    assert decided(verdict) == {
        "dish": "wish", "size": "child", "plates": "child", "price": "usual", "spicy": "usual", "sideDishes": "hungry"
    }  # fmt: skip
    assert verdict.deciding("dish").says.dish == "pasta"
    assert verdict.deciding("sideDishes").says.side_dishes == ("bread", "salad")
    assert verdict.deciding("spicy").says.spicy is False


def test_variables_that_are_not_given_are_empty():
    verdict = policy(
        "rules: [{name: a, match: \"guest.name == '' && guest.age == 0 && !hungry && budget == 0.0 && wishes.size() == 0\", set: {dish: x}}]"
    )
    assert decided(verdict.judge({})) == {"dish": "a"}


def test_only_rules_about_the_fields_that_are_asked_for_are_judged():
    text = "rules:\n- {name: a, match: wishes.x == 'y', set: {dish: x}}\n- {name: b, set: {size: small}}"
    verdict = policy(text).judge({}, frozenset({"size"}))
    assert ([match.rule for match in verdict.matches], verdict.faults) == (["b"], ())


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        pytest.param(
            "match: wishes.dish == 'x', set: {dish: x}", "there is no key 'dish'. Ask `'dish' in …` first", id="a key that is not there"
        ),
        pytest.param("match: 1 / guest.age == 1, set: {dish: x}", "divide by zero. Change the expression", id="a division by zero"),
        pytest.param("match: \"guest.name.matches('(')\", set: {dish: x}", "invalid regular expression", id="a bad pattern"),
        pytest.param(
            "compute: {plates: guest.age - 5}", "what it computes does not fit: plates: Input should be greater than", id="out of bounds"
        ),
        pytest.param(
            "match: '[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, "
            "[1,2,3,4,5,6,7,8,9].all(e, a + b + c + d + e > 0)))))', set: {dish: x}",
            "Iteration budget exceeded",
            id="a loop without end",
        ),
    ],
)
def test_a_rule_that_has_no_value_does_not_count_and_is_told(rule, told):
    verdict = policy(f"rules:\n- {{name: bad, {rule}}}\n- {{name: good, set: {{dish: soup, plates: 2}}}}").judge({})
    assert [match.rule for match in verdict.matches] == ["good"]
    [fault] = verdict.faults
    assert (fault.rule, fault.index, fault.problem.place.line) == ("bad", 0, 2)
    assert f"rule bad did not count: {told}" in str(fault)


def test_a_computed_text_that_is_empty_and_a_null_decide_nothing():
    verdict = policy(
        "rules:\n- name: wish\n  compute: {dish: \"wishes[?'dish'].orValue('')\"}\n- {name: none, set: {dish: null}}\n- {name: soup, set: {dish: soup}}"
    )
    assert decided(verdict.judge({})) == {"dish": "soup"}
    assert decided(verdict.judge({"wishes": {"dish": "stew"}})) == {"dish": "wish"}


def test_an_empty_text_that_is_set_decides():
    assert policy('rules: [{name: nothing, set: {dish: ""}}, {name: soup, set: {dish: soup}}]').judge({}).deciding("dish").rule == "nothing"


def test_the_hash_of_a_policy_tells_texts_apart():
    assert policy(MENU).hash == policy(MENU).hash != policy(MENU + "# changed\n").hash


@settings(deadline=None)
@given(
    name=st.text(max_size=50),
    age=st.integers(-(2**70), 2**70),
    budget=st.floats(),
    wishes=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=5),
)
def test_no_values_make_a_judgement_raise(name, age, budget, wishes):
    verdict = policy(MENU).judge({"guest.name": name, "guest.age": age, "budget": budget, "wishes": wishes})
    assert verdict.matches or verdict.faults


@pytest.mark.parametrize("wrong", [None, 3, "text", [1], {"a": 1}, object()], ids=lambda value: type(value).__name__)
def test_values_of_another_type_are_told_and_not_raised(wrong):
    text = "rules: [{name: a, match: \"wishes.a == 'x' || guest.name == 'y' || hungry || guest.age > 3\", set: {dish: x}}]"
    verdict = policy(text).judge({"wishes": wrong, "guest.name": wrong, "hungry": wrong, "guest.age": wrong})
    assert len(verdict.matches) + len(verdict.faults) <= 1

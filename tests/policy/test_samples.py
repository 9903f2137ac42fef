"""A policy is tried on cases before it goes live."""

import pytest

from kubernaut.policy.document import BrokenPolicy
from kubernaut.policy.samples import check, read_samples
from tests.policy.words import MEALS

MENU = "rules:\n- name: child\n  match: guest.age < 10\n  set: {size: small}\n- name: wish\n  match: wishes.dish != ''\n  compute: {dish: wishes.dish}\n"
NO_KEY = "there is no key 'dish'. Ask `'dish' in …` first, or write `[?'dish'].orValue('')`"
CASES = """\
- name: a child
  given:
    guest: {age: 8, name: Kim}
    wishes: {dish: soup}
    budget: 3
  expect: {size: small, dish: soup, plates: null}
- name: a grown-up
  given: {guest.age: 30, wishes: {dish: ""}}
  expect: {size: large}
- given: {hungry: true}
  expect: {size: small}
"""


def test_a_case_that_is_judged_otherwise_is_told_with_its_place():
    told = [str(each) for each in check(MEALS, MENU, "menu.yaml", read_samples(MEALS, CASES, "cases.yaml"))]
    assert told == [
        "cases.yaml:7:3: sample 'a grown-up' expects size to be 'large', but no rule sets it. Change the rules, or the sample",
        f"menu.yaml:6:10: in sample 'line 10', rule wish did not count: {NO_KEY}",
    ]


def test_a_wrong_expectation_names_the_rule_that_decided_otherwise():
    samples = read_samples(MEALS, "- {name: baby, given: {guest.age: 1, wishes: {dish: milk}}, expect: {size: large}}", "cases.yaml")
    assert [each.message for each in check(MEALS, MENU, "menu.yaml", samples)] == [
        "sample 'baby' expects size to be 'large', but rule child makes it 'small'. Change the rules, or the sample"
    ]


def test_a_broken_policy_is_told_and_not_tried():
    assert [str(each) for each in check(MEALS, "rules: []", "menu.yaml", read_samples(MEALS, CASES, "cases.yaml"))] == [
        "menu.yaml:1:1: there are 0 rules. A policy has 1 to 128"
    ]


def test_a_policy_without_samples_is_checked_alone():
    assert check(MEALS, MENU, "menu.yaml") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("{}", "1:1: the samples must be a list", id="no list"),
        pytest.param("- a", "1:3: a sample must be a mapping", id="no mapping"),
        pytest.param("- {given: {}, wanted: {}}", "1:15: a sample has no key 'wanted'", id="an unknown key"),
        pytest.param("- {given: 3}", "1:11: `given` must be a mapping", id="given is no mapping"),
        pytest.param("- {expect: [size]}", "1:12: `expect` must be a mapping", id="expect is no mapping"),
        pytest.param(
            "- {given: {guest: {nmae: x}}}", "1:3: there is no variable guest.nmae. The variables are guest.name", id="a variable unknown"
        ),
        pytest.param("- {given: {guest: {age: old}}}", "1:3: guest.age must be of type int", id="a value of another type"),
        pytest.param("- {given: {hungry: 1}}", "1:3: hungry must be of type bool", id="a number is no boolean"),
        pytest.param("- {given: {wishes: {dish: 3}}}", "1:3: wishes must be of type map(string, string)", id="a map of numbers"),
        pytest.param("- {expect: {drink: tea}}", "1:3: there is nothing named 'drink' to expect", id="a field unknown"),
    ],
)
def test_samples_that_cannot_be_used_are_told_with_their_place(text, told):
    with pytest.raises(BrokenPolicy) as refused:
        read_samples(MEALS, text, "cases.yaml")
    assert str(refused.value.problems[0]).startswith(f"cases.yaml:{told}")

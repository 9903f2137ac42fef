"""What is wrong with a policy's text is told with its line and column, all at once, and what to do."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubernaut.policy.document import MAX_BYTES, MAX_PROBLEMS, MAX_RULES, BrokenPolicy
from kubernaut.policy.samples import check
from tests.policy.words import MEALS, policy

RULE = "rules:\n- name: a\n"


def problems(text):
    with pytest.raises(BrokenPolicy) as refused:
        policy(text)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "1:1: the text is empty. Write `rules:`", id="empty"),
        pytest.param("# nothing\n", "1:1: the text is empty", id="only a comment"),
        pytest.param("rules: [", "1:9: this is no YAML: ", id="no YAML"),
        pytest.param("rules:\n- name: a\n\tset: {}", "3:1: this is no YAML: found character '\\t'", id="a tab"),
        pytest.param("a\x00b", "1:1: this is no YAML: unacceptable character", id="a control character"),
        pytest.param("- name: a", "1:1: the policy must be a mapping", id="no mapping"),
        pytest.param("rule: []", "1:1: there is no key 'rule'. A policy has one key, `rules`", id="another key"),
        pytest.param("rules: {}", "1:8: `rules` must be a list", id="no list"),
        pytest.param("rules: []", f"1:1: there are 0 rules. A policy has 1 to {MAX_RULES}", id="no rules"),
        pytest.param("rules: [3]", "1:9: a rule must be a mapping", id="a rule that is none"),
        pytest.param("rules:\n- set: {dish: soup}", "2:3: the rule has no name", id="no name"),
        pytest.param("rules:\n- name: Big Soup\n  set: {dish: soup}", "2:9: 'Big Soup' is no name. Use", id="a bad name"),
        pytest.param(
            "rules:\n- {name: a, set: {dish: x}}\n- {name: a, set: {dish: x}}",
            "3:10: a rule before this one is named 'a'",
            id="a name twice",
        ),
        pytest.param(
            RULE + "  when: hungry\n  set: {dish: x}", "3:3: a rule has no key 'when'. Its keys are name, match", id="a key unknown"
        ),
        pytest.param(RULE + "  set: {dish: x}\n  set: {dish: y}", "4:3: set is there twice. Keep one", id="a key twice"),
        pytest.param(RULE + "  match: hungry", "2:3: the rule decides nothing", id="nothing decided"),
        pytest.param(RULE + "  set: {}", "2:3: the rule decides nothing", id="nothing set"),
        pytest.param(RULE + "  set: soup", "3:8: `set` must be a mapping", id="set is no mapping"),
        pytest.param(RULE + "  match: [hungry]\n  set: {dish: x}", "3:10: `match` must be a text", id="match is no text"),
        pytest.param(RULE + "  match: ''\n  set: {dish: x}", "3:10: `match` must be a text", id="match is empty"),
        pytest.param(RULE + '  match: "\\ud800"\n  set: {dish: x}', "3:10: `match` must be a text", id="half a character"),
        pytest.param(RULE + "  set: {plates: 2020-13-13}", "3:17: this value cannot be read", id="a date that is none"),
        pytest.param(RULE + "  set: {dish: !!python/name:os.system x}", "3:15: this value cannot be read", id="a tag of Python's"),
        pytest.param(
            RULE + "  set: {dish: x}\n  compute: {dish: guest.name}",
            "4:19: dish is set and computed. Keep one of them",
            id="two ways at once",
        ),
        pytest.param(RULE + "  set: &x {dish: x}\n- *x", "4:3: *x is an alias, which a policy cannot have", id="an alias"),
        pytest.param("rules: " + "[" * 20, "1:15: this is nested too deep", id="nested deep"),
        pytest.param(
            RULE + f"  match: {'hungry ||' * 300} hungry\n  set: {{dish: x}}",
            "3:10: `match` is longer than 2048 characters",
            id="a long expression",
        ),
        pytest.param("#" * (MAX_BYTES + 1), f"1:1: the text is larger than {MAX_BYTES} bytes", id="large"),
        pytest.param(
            "rules:\n" + "\n".join(f"- {{name: r{number}, set: {{dish: x}}}}" for number in range(MAX_RULES + 1)),
            f"1:1: there are {MAX_RULES + 1} rules",
            id="many rules",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, told):
    assert problems(text)[0].startswith(f"menu.yaml:{told}")


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_text():
    text = "rules:\n- match: hungry\n- name: B\n  set: {dish: x}\n  foo: 1\n"
    assert [each.split(": ")[0] for each in problems(text)] == ["menu.yaml:2:3", "menu.yaml:2:3", "menu.yaml:3:9", "menu.yaml:5:3"]


def test_a_long_list_of_problems_is_cut_and_says_so():
    with pytest.raises(BrokenPolicy, match=r"and 30 more$") as refused:
        policy("rules:\n" + "- {}\n" * 25)
    assert len(refused.value.problems) == MAX_PROBLEMS


PIECES = st.sampled_from(
    ["rules:", "- name: a", "  match: hungry", "  set: {dish: x}", "  compute:", "{", "[", "&a", "*a", "? ", "|", ">", "'", "!!"]
)


@settings(deadline=None)
@example("rules:\n- name: a\n  match: |\n\n\n    hungry\n  set: {dish: x}")
@given(st.text(max_size=200) | st.lists(PIECES, max_size=12).map("\n".join) | st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_a_policy_or_is_refused_with_places_inside_it(text):
    places = [problem.place for problem in check(MEALS, text, "menu.yaml")]
    assert all(1 <= place.line <= len(text.splitlines()) + 2 and place.column >= 1 for place in places)

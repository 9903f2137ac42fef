"""Which policy holds when texts come and go, without a cluster."""

import pytest

from kubernaut.api.base import Unusable
from kubernaut.policy.document import Place, Problem
from kubernaut.policy.live import SHIPPED, CurrentPolicy
from tests.policy.words import MEALS

SHIPPED_MENU = "rules: [{name: shipped, set: {dish: bread}}]"
SOUP = "rules: [{name: soup, set: {dish: soup}}]"
BROKEN = "rules:\n- name: broken\n  match: angry\n  set: {dish: stones}\n"


def test_a_text_is_read_once():
    current = CurrentPolicy(MEALS, SHIPPED_MENU)
    assert [current.offer(text, "menu.yaml") for text in (SOUP, SOUP, BROKEN, BROKEN, SOUP)] == [True, False, True, False, True]


def test_a_trouble_is_news_once():
    current = CurrentPolicy(MEALS, SHIPPED_MENU)
    why = Problem("menu.yaml", Place(1, 1), "it is gone")
    assert [current.refuse(why), current.refuse(why)] == [True, False]
    current.withdraw()
    assert (current.trouble, current.policy.file) == ("", SHIPPED)


def test_a_shipped_policy_must_be_sound():
    with pytest.raises(Unusable, match="shipped:1:1"):
        CurrentPolicy(MEALS, "")

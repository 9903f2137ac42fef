"""Markdown as channels want it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.notification.channels.markup import FENCE, Section, cut, html, mrkdwn, one_line, pieces, sections, where

CODE = "## Diff\n```diff\n## not a title\n-a\n+b\n```\nafter"
LINES = st.lists(st.one_of(st.text("ab *`#漢\t", max_size=80), st.just(FENCE), st.just("```diff")), max_size=30).map("\n".join)


def test_a_text_has_the_sections_that_its_titles_begin():
    assert sections("first\n\n## One\na\n\n## Two\n") == [Section("", "first"), Section("One", "a"), Section("Two", "")]


def test_a_title_within_code_is_none():
    assert sections(CODE) == [Section("Diff", "```diff\n## not a title\n-a\n+b\n```\nafter")]


@pytest.mark.parametrize(
    ("text", "slack"),
    [
        ("**bold** and 2 ** 3", "*bold* and 2 ** 3"),
        ("[docs](https://x.example/a?b=c&d=e)", "<https://x.example/a?b=c&amp;d=e|docs>"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<!channel> <@U1>", "&lt;!channel&gt; &lt;@U1&gt;"),
        ("- one\n  - two", "• one\n  • two"),
        ("```diff\n- **x**\n```", "```\n- **x**\n```"),
    ],
    ids=["bold", "link", "escapes", "nobody is mentioned by a text", "list", "code"],
)
def test_slack_has_a_dialect(text, slack):
    assert mrkdwn(text) == slack


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(40, 300))
def test_pieces_fit_lose_nothing_and_keep_code_closed(text, limit):
    found = list(pieces(text, limit))
    assert all(len(piece) <= limit for piece in found)
    kept = [word for word in text.replace("```diff", "").replace(FENCE, "").split() if word]
    assert "".join("".join(found).replace("```diff", "").replace(FENCE, "").split()) == "".join(kept)


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(40, 300))
def test_a_cut_text_fits_and_says_where_the_rest_is(text, limit):
    found = cut(text, limit, "… more")
    assert len(found) <= limit
    assert found == text or found.endswith("… more")


def test_where_the_rest_is_can_be_clicked_or_typed():
    assert where("https://x.example") == "… cut. [The whole text](https://x.example)"
    assert where("kubectl get it") == "… cut. The whole text: `kubectl get it`"


def test_html_shows_html_as_text():
    assert html("<b>x</b> **y**") == "<p>&lt;b&gt;x&lt;/b&gt; <strong>y</strong></p>\n"


def test_one_line_is_one():
    assert one_line("a\r\nb\tc", 10) == "a b c"
    assert one_line("abcdef", 4) == "abc…"

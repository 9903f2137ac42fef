"""Slack: blocks that Slack's own models accept, a thread for each case, and what became of a message written over it."""

import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from kubernaut.api.notification import DeliveryEvent, NotificationType, Priority
from kubernaut.notification.channels.base import Link, NotDelivered
from kubernaut.notification.channels.slack import Slack
from kubernaut.notification.channels.slack_blocks import blocks_of, closed_blocks_of, fallback_of
from kubernaut.notification.settings import SlackSettings
from tests.notification import forms
from tests.notification.pieces import BODY, note
from tests.notification.receivers import PLANTED, SlackApi, SlackHook


@asynccontextmanager
async def bot(api=None, **changes):
    api = api or SlackApi()
    async with api.serving("/api/") as url, aiohttp.ClientSession() as session:
        yield api, Slack(session, SlackSettings(**({"token": SecretStr(PLANTED), "api_url": url} | changes)))


def words(message):
    return json.dumps(message["blocks"], ensure_ascii=False)


async def test_a_bot_posts_into_the_channel_of_the_message():
    async with bot() as (api, slack):
        receipt = await slack.send(note(body=BODY, address="#approvals"))
    [told] = api.told
    assert (told["channel"], told["text"], receipt) == ("#approvals", "[High] Approve?", "C024BE91L:1.0")
    assert [block["type"] for block in told["blocks"]] == ["header", "section", "section", "section", "actions", "context"]
    assert "*Why*\\n• limit `64Mi`\\n• *growing* <https://grafana.example/d/1|graph>" in words(told)


async def test_the_next_message_of_a_case_goes_into_its_thread_and_a_loud_one_into_the_channel_too():
    async with bot() as (api, slack):
        receipt = await slack.send(note())
        await slack.send(note(thread=receipt))
        await slack.send(note(thread=receipt, priority=Priority.LOW, type=NotificationType.COMPLETION))
    assert [(each.get("thread_ts"), each.get("reply_broadcast")) for each in api.told] == [(None, None), ("1.0", True), ("1.0", False)]


async def test_what_became_of_a_message_is_written_over_it_and_told_in_its_thread():
    async with bot() as (api, slack):
        receipt = await slack.send(note(answers=(Link("Approve", "https://kubernaut.example/a"),)))
        await slack.send(note(event=DeliveryEvent.CLOSED, note="Approved by **alice**. The case has ended.", receipt=receipt))
    asked, changed, reply = api.told
    assert "https://kubernaut.example/a" in words(asked)
    assert (changed["method"], changed["ts"]) == ("chat.update", "1.0")
    assert "https://kubernaut.example/a" not in words(changed), "nothing is left to click"
    assert "Approved by *alice*" in words(changed)
    assert (reply["method"], reply["thread_ts"], reply["reply_broadcast"]) == ("chat.postMessage", "1.0", False)


async def test_a_message_that_somebody_deleted_does_not_keep_its_end_from_being_told():
    async with bot() as (api, slack):
        await slack.send(note(event=DeliveryEvent.CLOSED, note="over", receipt="C024BE91L:7.0", thread=await slack.send(note())))
    assert [each["method"] for each in api.told] == ["chat.postMessage", "chat.postMessage"]


@pytest.mark.parametrize(
    ("error", "permanent"),
    [("channel_not_found", True), ("invalid_auth", True), ("not_in_channel", True), ("ratelimited", False), ("internal_error", False)],
)
async def test_what_slack_answers_tells_whether_another_try_may_help(error, permanent):
    async with bot(SlackApi(fault={"text": json.dumps({"ok": False, "error": error})})) as (_, slack):
        with pytest.raises(NotDelivered, match=f"Slack answered {error}") as fault:
            await slack.send(note())
    assert fault.value.permanent is permanent


async def test_an_answer_that_is_no_json_may_be_another_one_next_time():
    async with bot(SlackApi(fault={"text": "<html>"})) as (_, slack):
        with pytest.raises(NotDelivered, match="no JSON") as fault:
            await slack.send(note())
    assert not fault.value.permanent


async def test_a_webhook_is_bound_to_its_channel_and_tells_the_end_as_a_message_of_its_own():
    hook = SlackHook()
    async with hook.serving(f"/services/{PLANTED}") as url, aiohttp.ClientSession() as session:
        slack = Slack(session, SlackSettings(webhook_url=SecretStr(url)))
        assert slack.place("#approvals") == ""
        assert slack.follows == frozenset({DeliveryEvent.CLOSED})
        await slack.send(note())
        await slack.send(note(event=DeliveryEvent.CLOSED, note="The case has ended."))
    assert [each["text"] for each in hook.told] == ["[High] Approve?", "[High] Approve?: The case has ended."]


def test_slack_needs_a_token_or_a_webhook():
    with pytest.raises(ValidationError, match="give token"):
        SlackSettings()


MARKUP = st.text(st.sampled_from("a漢🚨&<>*`#-[]() \n\t\\'\"_~|:/"), max_size=300)
TEXTS = st.lists(st.one_of(MARKUP, st.sampled_from(["## Why", "```", "```diff", "- x", "&" * 2990, "x" * 3100])), max_size=20).map(
    "\n".join
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, MARKUP, st.integers(1, 20), st.sampled_from(list(DeliveryEvent)))
def test_whatever_the_text_slack_would_take_it(body, subject, times, event):
    message = note(body="\n".join([body] * times), subject=subject.strip() or "x", event=event, note=body[:500] or "over")
    for blocks in (blocks_of(message), closed_blocks_of(message)):
        forms.slack(json.dumps({"text": fallback_of(message), "blocks": blocks}).encode())


def test_a_text_that_is_too_long_is_cut_and_says_where_the_rest_is():
    message = note(body="\n".join(f"## Part {number}\n" + "words " * 400 for number in range(60)))
    blocks = blocks_of(message)
    forms.slack(json.dumps({"text": "x", "blocks": blocks}).encode())
    said = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    assert said[-1] == "… cut. <https://console.example/remediation-abcde12345|The whole text>"
    assert sum(map(len, said)) < 40_000


def test_at_most_five_buttons_stand_in_a_row():
    links = tuple(Link(f"place {number} {'x' * 100}", f"https://x.example/{number}") for number in range(9))
    [row] = [block for block in blocks_of(note(links=links)) if block["type"] == "actions"]
    assert len(row["elements"]) == 5

"""Microsoft Teams: Adaptive Cards of the published form within 28 KB, to a workflow's webhook."""

from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from kubernaut.api.notification import DeliveryEvent
from kubernaut.notification.channels.base import Link, NotDelivered
from kubernaut.notification.channels.teams import Teams, card_message
from kubernaut.notification.settings import TeamsSettings
from tests.notification import forms
from tests.notification.pieces import BODY, note
from tests.notification.receivers import PLANTED, TeamsWorkflow


@asynccontextmanager
async def workflow(made=None, **changes):
    made = made or TeamsWorkflow()
    async with made.serving(f"/workflows/1?sig={PLANTED}") as url, aiohttp.ClientSession() as session:
        yield made, Teams(session, TeamsSettings(**({"url": SecretStr(url)} | changes)))


def texts(card):
    return [block["text"] for block in card["body"]]


async def test_a_card_says_what_happened_and_links_to_more():
    async with workflow() as (got, teams):
        await teams.send(note(body=BODY, answers=(Link("Approve", "https://kubernaut.example/a"),)))
    [card] = got.told
    assert texts(card)[:3] == ["Approve?", "Memory ran out.", "Why"]
    assert "kubernaut approve x" in texts(card)
    assert [action["title"] for action in card["actions"]] == ["Approve", "Grafana"]


async def test_the_end_is_a_short_card_of_its_own():
    async with workflow() as (got, teams):
        await teams.send(note(event=DeliveryEvent.CLOSED, note="The case has ended."))
    assert texts(got.told[0])[:2] == ["Approve?", "The case has ended."]


@pytest.mark.parametrize(("code", "permanent"), [("413", True), ("429", False), ("502", False)])
async def test_a_fault_that_hides_in_a_good_answer_is_found(code, permanent):
    hidden = {"text": f"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {code} with ContextId x"}
    async with workflow(TeamsWorkflow(fault=hidden)) as (_, teams):
        with pytest.raises(NotDelivered, match=f"Teams answered {code}") as fault:
            await teams.send(note())
    assert fault.value.permanent is permanent


async def test_another_place_is_another_workflow_whose_url_may_be_in_a_file(tmp_path):
    other, file = TeamsWorkflow(), tmp_path / "url"
    async with workflow(places={"payments": {"url_file": file}}) as (got, teams), other.serving(f"/workflows/2?sig={PLANTED}") as url:
        file.write_text(url)
        await teams.send(note(address=teams.place("payments")))
        await teams.send(note(address=teams.place("nowhere")))
    assert (len(got.told), len(other.told)) == (1, 1)


def test_teams_needs_a_url():
    with pytest.raises(ValidationError, match="give url"):
        TeamsSettings()


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=300), st.integers(1, 200), st.text(min_size=1, max_size=500), st.sampled_from(list(DeliveryEvent)))
def test_whatever_the_text_teams_would_take_it(part, times, subject, event):
    long = note(body="\n".join([f"## Part\n{part}"] * times), subject=subject.strip() or "x", event=event, note=part.strip() or "over")
    forms.teams(orjson.dumps(card_message(long)))


def test_a_text_that_is_too_long_is_cut_and_says_where_the_rest_is():
    card = forms.teams(orjson.dumps(card_message(note(body="\n".join(["## Why", "漢字" * 20, *(["more words"] * 3_000)])))))
    assert texts(card)[2].endswith("… cut. [The whole text](https://console.example/remediation-abcde12345)")

"""PagerDuty: events of the published form under one key a case, triggered, acknowledged and resolved."""

from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from kubernaut.api.notification import DeliveryEvent, NotificationType, Priority
from kubernaut.notification.channels.base import NotDelivered
from kubernaut.notification.channels.pagerduty import PagerDuty, event
from kubernaut.notification.settings import PagerDutySettings
from tests.notification import forms
from tests.notification.pieces import BODY, note
from tests.notification.receivers import PLANTED, PagerDutyApi

KEY = "kubernaut/remediation-abcde12345"


@asynccontextmanager
async def service(**changes):
    api = PagerDutyApi()
    async with api.serving("/v2/enqueue") as url, aiohttp.ClientSession() as session:
        yield api, PagerDuty(session, PagerDutySettings(**({"url": url, "routing_key": SecretStr(PLANTED)} | changes)))


async def test_an_alert_is_triggered_acknowledged_and_resolved_under_the_key_of_its_case():
    async with service() as (api, pagerduty):
        assert await pagerduty.send(note()) == KEY
        assert api.alerts == {KEY: "triggered"}
        await pagerduty.send(note(event=DeliveryEvent.ACKNOWLEDGED, note="Approved by alice."))
        assert api.alerts == {KEY: "acknowledged"}
        await pagerduty.send(note(event=DeliveryEvent.CLOSED, note="The case has ended."))
        assert api.alerts == {KEY: "resolved"}


async def test_a_repeat_is_the_same_alert():
    async with service() as (api, pagerduty):
        await pagerduty.send(note())
        await pagerduty.send(note())
    assert api.alerts == {KEY: "triggered"}


async def test_good_news_wakes_nobody_and_resolves_the_alert_of_its_case():
    async with service() as (api, pagerduty):
        await pagerduty.send(note())
        await pagerduty.send(note(type=NotificationType.COMPLETION))
    assert api.alerts == {KEY: "resolved"}


async def test_an_alert_says_what_happened_and_links_to_more():
    async with service() as (api, pagerduty):
        await pagerduty.send(note(body=BODY, priority=Priority.CRITICAL, metadata={"target": "production/deployment/shop"}))
    payload = api.told[0]["payload"]
    assert (payload["summary"], payload["severity"], payload["source"]) == ("Approve?", "critical", "production/deployment/shop")
    assert payload["custom_details"]["What happened"] == "Memory ran out."
    assert "growing" in payload["custom_details"]["Why"]
    assert api.told[0]["links"] == [{"href": "https://grafana.example/d/1?a=b&c=d", "text": "Grafana"}]
    assert api.told[0]["client_url"] == "https://console.example/remediation-abcde12345"


async def test_another_place_has_a_key_of_its_own(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{PLANTED}\n")
    async with service(routing_key="another", places={"payments": {"routing_key_file": file}}) as (api, pagerduty):
        await pagerduty.send(note(address=pagerduty.place("payments")))
        with pytest.raises(NotDelivered, match="answered 400") as fault:
            await pagerduty.send(note(address=pagerduty.place("nowhere")))
    assert fault.value.permanent
    assert len(api.told) == 1


def test_a_service_needs_a_key():
    with pytest.raises(ValidationError, match="give routing_key"):
        PagerDutySettings()


@settings(max_examples=40, deadline=None)
@given(
    st.text(min_size=1, max_size=300),
    st.integers(1, 400),
    st.text(min_size=1, max_size=500),
    st.sampled_from(list(Priority)),
    st.sampled_from(list(DeliveryEvent)),
)
def test_whatever_the_text_pagerduty_would_take_it(part, times, subject, priority, what):
    long = note(body="\n".join([f"## Part\n{part}"] * times), subject=subject.strip() or "x", priority=priority, event=what)
    forms.pagerduty(orjson.dumps(event(long, "key")))


def test_what_would_be_too_large_is_left_out_and_says_where_it_is():
    large = note(body="\n".join(f"## Part {number}\n{'漢' * 9_000}" for number in range(40)))
    found = event(large, "key")
    forms.pagerduty(orjson.dumps(found))
    assert "https://console.example" in found["payload"]["custom_details"]["text"]

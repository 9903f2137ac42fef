"""What every channel keeps: a message is delivered once or a plain word says why not, and no secret goes along."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from pydantic import SecretStr

from kubernaut.api.notification import DeliveryEvent
from kubernaut.notification.channels.base import NotDelivered
from kubernaut.notification.channels.registry import built
from kubernaut.notification.settings import NotificationSettings
from tests.notification.mailbox import Mailbox
from tests.notification.pieces import CASE, START, Desk, note, request
from tests.notification.receivers import PLANTED, PagerDutyApi, SlackApi, SlackHook, TeamsWorkflow, Vendor

SECRET = SecretStr(PLANTED)


class AnyHook(Vendor):
    """Somebody's receiver that takes everything."""

    def take(self, request, body):
        from aiohttp import web  # noqa: PLC0415  (only here)

        assert "X-Kubernaut-Signature" in request.headers
        self.told.append(json.loads(body))
        return web.Response(status=204)


class Screen:
    """A terminal."""

    def __init__(self):
        self.fault = None
        self.requests = 0
        self.shown = []

    def show(self, message):
        if self.fault is not None:
            raise OSError(5, f"Input/output error {'x' * 5000}")
        self.requests += 1
        self.shown.append(message)

    def texts(self):
        return [f"{message.subject}\n{message.body}" for message in self.shown]


class Disk:
    """A file on a disk."""

    def __init__(self, path):
        self.path = path / "messages.jsonl"
        self.fault = None
        self.requests = 0

    def texts(self):
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        return [json.dumps(json.loads(line), ensure_ascii=False) for line in lines]


HTTP = {
    "webhook": (AnyHook, "/hook?token=" + PLANTED, lambda url: {"webhook": {"url": url, "secret": SECRET}}),
    "slack": (SlackApi, "/api/", lambda url: {"slack": {"token": SECRET, "api_url": url}}),
    "slack-webhook": (SlackHook, f"/services/{PLANTED}", lambda url: {"slack": {"webhook_url": SecretStr(url)}}),
    "pagerduty": (PagerDutyApi, "/v2/enqueue", lambda url: {"pagerduty": {"url": url, "routing_key": SECRET}}),
    "msteams": (TeamsWorkflow, f"/workflows/1?sig={PLANTED}", lambda url: {"msteams": {"url": SecretStr(url)}}),
}
NAMES = ("console", "email", "file", *HTTP)
NOT_OVER_HTTP = frozenset({"console", "email", "file"})
every_channel = pytest.mark.parametrize("name", NAMES)
FAULTS = [301, 404, 429, 500]


def settings(**sections):
    return NotificationSettings.model_validate(sections)


@asynccontextmanager
async def channel(name, folder, *, status=0):
    """Give a built-in channel and its other side, which is well, answers by a status, or (-1) is away."""
    async with AsyncExitStack() as stack:
        side, wanted = await _side(stack, name, folder, away=status == -1)
        if status:
            side.fault = _fault(name, side, status)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        show = side.show if isinstance(side, Screen) else print
        [found] = [each for each in built(wanted, session, show) if each.name == name.removesuffix("-webhook")]
        yield side, found


async def _side(stack, name, folder, *, away):
    """Make the other side of a channel; return it, and the settings that point there."""
    if name == "console":
        return Screen(), settings()
    if name == "file":
        return Disk(folder), settings(file={"path": folder / "messages.jsonl"})
    if name == "email":
        box = Mailbox(folder)
        async with AsyncExitStack() as short:
            port = await (short if away else stack).enter_async_context(box.serving())
        login = {"username": "kubernaut", "password": SECRET, "ca_file": box.certificate}
        return box, settings(email={"host": "127.0.0.1", "port": port, "to": "ops@example.com", **login})
    make, path, wanted = HTTP[name]
    vendor = make()
    async with AsyncExitStack() as short:
        url = await (short if away else stack).enter_async_context(vendor.serving(path))
    return vendor, settings(**wanted(url))


def _fault(name, side, status):
    """Return how a side answers that is ill; a disk is full of something else."""
    if name == "file":
        side.path.unlink(missing_ok=True)
        side.path.mkdir()
    if name == "email":
        return f"{'451' if status in {429, 500} else '554'} token={PLANTED} no"
    return {"status": status if status > 0 else 503, "text": f"token={PLANTED} {'x' * 100_000}", "headers": {"Location": "/elsewhere"}}


async def test_every_channel_that_can_be_configured_is_built_and_has_a_name_of_its_own(tmp_path):
    sections = [wanted("http://127.0.0.1:1/") for name, (_, _, wanted) in HTTP.items() if name != "slack-webhook"]
    everything = {key: value for section in sections for key, value in section.items()}
    everything |= {"file": {"path": tmp_path / "x"}, "email": {"host": "x", "to": "ops@example.com"}}
    async with aiohttp.ClientSession() as session:
        names = [each.name.value for each in built(settings(**everything), session, print)]
    assert sorted(names) == sorted({name.removesuffix("-webhook") for name in NAMES})


@every_channel
async def test_a_message_is_told_once_with_its_words(name, tmp_path):
    async with channel(name, tmp_path) as (side, found):
        receipt = await found.send(note(subject="Shop 漢 🚨 is down", body="line one\nline two"))
    [heard] = side.texts()
    assert all(word in heard for word in ("Shop 漢 🚨 is down", "line one", "line two"))
    assert isinstance(receipt, str)


@every_channel
async def test_messages_at_once_each_arrive(name, tmp_path):
    async with channel(name, tmp_path) as (side, found):
        await asyncio.gather(*(found.send(note(id=f"u-{number}", subject=f"subject-{number};")) for number in range(20)))
    assert sorted(number for heard in side.texts() for number in range(20) if f"subject-{number};" in heard) == list(range(20))


@every_channel
@pytest.mark.parametrize("event", [DeliveryEvent.ACKNOWLEDGED, DeliveryEvent.CLOSED])
async def test_what_follows_a_message_is_taken_where_the_channel_says_so(name, event, tmp_path):
    async with channel(name, tmp_path) as (side, found):
        receipt = await found.send(note())
        before = len(side.texts())
        if event in found.follows:
            await found.send(note(event=event, note="Approved by alice.", receipt=receipt))
            assert len(side.texts()) > before


@every_channel
@pytest.mark.parametrize("status", FAULTS)
async def test_a_refusal_is_a_plain_bounded_word_and_tells_whether_another_try_may_help(name, status, tmp_path):
    async with channel(name, tmp_path, status=status) as (side, found):
        with pytest.raises(NotDelivered) as fault:
            await found.send(note())
        assert 0 < len(str(fault.value)) <= 1024
        assert not (status in {429, 500} and fault.value.permanent)
        assert name in NOT_OVER_HTTP or fault.value.permanent is (status == 404)
        assert side.requests <= 1, "one call is one try"
        assert side.texts() == []


@every_channel
async def test_an_outage_of_hours_in_the_middle_of_a_case_loses_nothing_doubles_nothing_and_keeps_the_order(name, tmp_path):
    """Time is the test's, the requests are real."""
    async with channel(name, tmp_path) as (side, found):
        desk = Desk(found, settings=settings(send_timeout_seconds=5, breaker={"open_seconds": 300}))
        desk.messages = [_of_case("a", found.name)]
        await desk.run(START + timedelta(minutes=1))
        side.fault = _fault(name, side, 500)
        desk.messages += [_of_case("b", found.name), _of_case("c", found.name)]
        await desk.run(START + timedelta(hours=3))
        _heal(name, side)
        assert [each.status.phase for each in desk.messages] == ["Sent", "Retrying", "Pending"]
        await desk.run(START + timedelta(hours=3, minutes=20))
    told = [number for heard in side.texts() for number in "abc" if f"subject-{number};" in heard]
    assert told == ["a", "b", "c"] if name != "file" else ["b", "c"]
    assert {each.status.phase for each in desk.messages} == {"Sent"}
    assert [len(each.status.delivery_attempts) for each in desk.messages] == [1, 5, 1], (
        "four tries that count, and the one that got through"
    )


def _of_case(name, at):
    return request(name=name, uid=name, subject=f"subject-{name};", channels=[at], **CASE)


def _heal(name, side):
    side.fault = None
    if name == "file":
        side.path.rmdir()


@every_channel
async def test_who_is_away_may_come_back(name, tmp_path):
    async with channel(name, tmp_path, status=-1) as (side, found):
        with pytest.raises(NotDelivered) as fault:
            await found.send(note())
        assert not fault.value.permanent
        assert PLANTED not in str(fault.value)
        assert side.requests == 0


@every_channel
@pytest.mark.parametrize("status", [0, 500], ids=["taken", "echoed"])
async def test_no_secret_of_the_settings_is_told(name, status, tmp_path, caplog):
    said = ""
    async with channel(name, tmp_path, status=status) as (side, found):
        try:
            await found.send(note())
        except NotDelivered as fault:
            said = str(fault)
        assert PLANTED not in said + repr(found) + "".join(side.texts()) + caplog.text


@every_channel
async def test_a_cancelled_try_ends_at_once(name, tmp_path):
    """The stage bounds each try in time by cancelling it."""
    async with channel(name, tmp_path) as (side, found):
        trying = asyncio.create_task(found.send(note()))
        trying.cancel()
        assert [type(each) for each in await asyncio.gather(trying, return_exceptions=True)] == [asyncio.CancelledError]
        assert side.texts() == []

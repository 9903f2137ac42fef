"""What every channel keeps: a message is delivered once or a plain word says why not, and no secret goes along."""

import asyncio
from contextlib import asynccontextmanager
from typing import get_args

import aiohttp
import pytest
from pydantic import SecretStr

from kubernaut.notification.channels.base import NotDelivered
from kubernaut.notification.settings import NotificationSettings
from kubernaut.wiring import channels
from tests.notification.pieces import note
from tests.notification.test_webhook import Receiver

PLANTED = "planted-7f3a9c"
SECTIONS = sorted(
    name
    for name, field in NotificationSettings.model_fields.items()
    if any("url" in getattr(of, "model_fields", ()) for of in get_args(field.annotation))
)
"""The settings of the channels that post to a URL: each is pointed at the receiver."""


class OtherSide:
    """Whoever the channels tell: a receiver over HTTP, and a terminal."""

    def __init__(self, **answer):
        self.receiver = Receiver(**answer)
        self.shown = []
        self.broken = "status" in answer and answer["status"] >= 300

    def show(self, message):
        if self.broken:
            raise OSError(5, f"Input/output error {'x' * 5000}")
        self.shown.append(message)

    def heard(self):
        """Return what arrived, as text."""
        return [body.decode() for _, _, body in self.receiver.got] + [repr(message) for message in self.shown]


@asynccontextmanager
async def channel(name, side, *, away=False):
    """Give one of the built-in channels, all of them configured and pointed at the other side."""
    side.broken = side.broken or away
    async with aiohttp.ClientSession() as session:
        async with side.receiver.serving() as url:
            wanted = settings(f"{url}?token={PLANTED}")
            [found] = [each for each in channels(wanted, session, side.show) if each.name == name]
            if not away:
                yield found
                return
        yield found


def settings(url):
    return NotificationSettings.model_validate({name: {"url": url, "secret": SecretStr(PLANTED)} for name in SECTIONS})


async def _names():
    async with aiohttp.ClientSession() as session:
        return [each.name for each in channels(settings("http://127.0.0.1:1"), session, print)]


NAMES = asyncio.run(_names())
every_channel = pytest.mark.parametrize("name", NAMES)
every_fault = pytest.mark.parametrize("status", [301, 404, 429, 500])


def test_names_are_each_ones_own_and_every_configured_channel_is_there():
    assert len(set(NAMES)) == len(NAMES)
    assert set(SECTIONS) <= set(NAMES)


@every_channel
async def test_a_message_is_told_once_with_its_words(name):
    side = OtherSide()
    async with channel(name, side) as found:
        await found.send(note(subject="Shop 漢 🚨 is down", body="line one\nline two"))
    [heard] = side.heard()
    assert "Shop 漢 🚨 is down" in heard


@every_channel
async def test_messages_at_once_each_arrive(name):
    side = OtherSide()
    async with channel(name, side) as found:
        await asyncio.gather(*(found.send(note(id=f"u-{number}", subject=f"subject-{number};")) for number in range(20)))
    assert sorted(number for heard in side.heard() for number in range(20) if f"subject-{number};" in heard) == list(range(20))


@every_channel
@every_fault
async def test_a_refusal_is_a_plain_bounded_word_and_tells_whether_another_try_may_help(name, status):
    side = OtherSide(status=status, text=f"token={PLANTED} " + "x" * 100_000)
    async with channel(name, side) as found:
        with pytest.raises(NotDelivered) as fault:
            await found.send(note())
    assert 0 < len(str(fault.value)) <= 1024
    assert isinstance(fault.value.permanent, bool)
    assert not (status == 500 and fault.value.permanent)
    assert len(side.heard()) <= 1, "one call is one try"


@every_channel
async def test_who_is_away_may_come_back(name):
    side = OtherSide()
    async with channel(name, side, away=True) as found:
        with pytest.raises(NotDelivered) as fault:
            await found.send(note())
        assert not fault.value.permanent
    assert side.heard() == []


@every_channel
@pytest.mark.parametrize("answer", [{}, {"status": 500, "text": f"token={PLANTED}"}], ids=["taken", "echoed"])
async def test_no_secret_of_the_settings_is_told(name, answer):
    side, said = OtherSide(**answer), ""
    async with channel(name, side) as found:
        try:
            await found.send(note())
        except NotDelivered as fault:
            said = str(fault)
    headers = [str(dict(headers)) for _, headers, _ in side.receiver.got]
    assert PLANTED not in said + repr(found) + "".join(headers + side.heard())


@every_channel
async def test_no_secret_of_the_settings_is_told_of_who_is_away(name):
    async with channel(name, OtherSide(), away=True) as found:
        with pytest.raises(NotDelivered) as fault:
            await found.send(note())
    assert PLANTED not in str(fault.value)


@every_channel
async def test_a_cancelled_try_ends_at_once(name):
    """The stage bounds each try in time by cancelling it."""
    side = OtherSide()
    async with channel(name, side) as found:
        trying = asyncio.create_task(found.send(note()))
        trying.cancel()
        assert [type(each) for each in await asyncio.gather(trying, return_exceptions=True)] == [asyncio.CancelledError]
    assert side.heard() == []

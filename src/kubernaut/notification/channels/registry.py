"""The built-in channels, as far as they are configured."""

from collections.abc import Callable, Iterator

import aiohttp

from kubernaut.notification.channels.base import Channel, Message
from kubernaut.notification.channels.console import Console
from kubernaut.notification.channels.email import Email
from kubernaut.notification.channels.file import File
from kubernaut.notification.channels.pagerduty import PagerDuty
from kubernaut.notification.channels.slack import Slack
from kubernaut.notification.channels.teams import Teams
from kubernaut.notification.channels.webhook import Webhook
from kubernaut.notification.settings import NotificationSettings


def built(settings: NotificationSettings, session: aiohttp.ClientSession, show: Callable[[Message], None]) -> tuple[Channel, ...]:
    """Return the channels; `show` is where the console's messages go."""
    return tuple(_channels(settings, session, show))


def _channels(settings: NotificationSettings, session: aiohttp.ClientSession, show: Callable[[Message], None]) -> Iterator[Channel]:
    yield Console(show)
    if settings.file:
        yield File(settings.file)
    if settings.webhook:
        yield Webhook(session, settings.webhook)
    if settings.slack:
        yield Slack(session, settings.slack)
    if settings.pagerduty:
        yield PagerDuty(session, settings.pagerduty)
    if settings.email:
        yield Email(settings.email)
    if settings.msteams:
        yield Teams(session, settings.msteams)

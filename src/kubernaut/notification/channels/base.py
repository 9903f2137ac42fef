"""What a channel must do: deliver a message once, or say why not and whether another try may help."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kubernaut.api.base import Obj
from kubernaut.api.notification import ChannelName, NotificationType, Priority


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told, without secrets."""

    id: str
    """The same at every try: receivers may drop repeats."""
    type: NotificationType
    priority: Priority
    subject: str
    body: str
    """Markdown."""
    correlation_id: str
    addresses: tuple[str, ...] = ()
    """Where on the channel; empty: the channel's default."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    details: Obj = field(default_factory=dict)


class NotDelivered(Exception):  # noqa: N818  (says what became of a message)
    """The channel did not take the message."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message[:1024])
        self.permanent = permanent
        """No further try can help until somebody changes the configuration."""


class Channel(Protocol):
    """One way to reach people."""

    name: ChannelName

    async def send(self, message: Message) -> None:
        """Deliver; return only when the other side took it, raise NotDelivered otherwise."""
        ...

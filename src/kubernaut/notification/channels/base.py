"""What a channel must do: deliver a message once, or say why not and whether another try may help."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from pydantic import SecretStr

from kubernaut.api.base import Obj
from kubernaut.api.notification import ChannelName, DeliveryEvent, NotificationType, Priority

ERROR_LIMIT: Final = 1024
SECRET_LIMIT: Final = 8192
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the web, and what one finds there."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told, without secrets."""

    id: str
    """The same at every try: receivers may drop repeats."""
    type: NotificationType
    priority: Priority
    subject: str
    body: str
    """Markdown: `##` begins a section."""
    correlation_id: str
    address: str = ""
    """Where on the channel; empty: the channel's own place."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    details: Obj = field(default_factory=dict)
    written_at: datetime = LONG_AGO
    event: DeliveryEvent = DeliveryEvent.TOLD
    note: str = ""
    """What became of it, where the event is not the message itself."""
    receipt: str = ""
    """How the channel called the message, where the event is not the message itself."""
    thread: str = ""
    """How the channel called the first message of the case."""
    whole: str = ""
    """Where the uncut text is: a URL, or a command."""
    links: tuple[Link, ...] = ()
    answers: tuple[Link, ...] = ()
    """Where the reader can answer a question with a click; none: only by the commands in the text."""
    ticket: str = ""
    """What a button carries by which the reader answers right on the channel; empty: there is none."""


class NotDelivered(Exception):  # noqa: N818  (says what became of a message)
    """The channel did not take the message."""

    def __init__(self, message: str, *, permanent: bool, patience: timedelta | None = None) -> None:
        super().__init__(message[:ERROR_LIMIT])
        self.permanent = permanent
        """No further try can help until somebody changes the configuration."""
        self.patience = patience
        """How long the other side asks to be left alone."""


class Channel(Protocol):
    """One way to reach people."""

    name: ChannelName
    follows: frozenset[DeliveryEvent]
    """What it tells besides the message itself."""

    def place(self, address: str) -> str:
        """Return the address as the channel knows it, which is empty for its own place."""
        ...

    async def send(self, message: Message) -> str:
        """Deliver; return the other side's name for what it took, raise NotDelivered otherwise."""
        ...


def secret_of(given: SecretStr | None, file: Path | None) -> str:
    """Return a secret: the one given, else what the file holds now; raise NotDelivered when that cannot be read."""
    if given is not None:
        return given.get_secret_value()
    if file is None:
        return ""
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(SECRET_LIMIT).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotDelivered(f"the secret's file {file} cannot be read: {type(error).__name__}", permanent=False) from error

"""The console: the message as plain lines, to whoever watches the process."""

from collections.abc import Callable

from kubernaut.api.notification import ChannelName, DeliveryEvent
from kubernaut.notification.channels.base import Message, NotDelivered

Write = Callable[[Message], None]


def plain(message: Message) -> str:
    """Return a message as a block of lines."""
    head = f"[{message.priority.value}] {message.subject}"
    answers = "".join(f"\n{link.text}: {link.url}\n" for link in message.answers)
    return f"{head}\n{'-' * min(len(head), 100)}\n{message.body}\n{answers}"


class Console:
    """Hands messages to a function that shows them."""

    name = ChannelName.CONSOLE
    follows: frozenset[DeliveryEvent] = frozenset()

    def __init__(self, show: Write) -> None:
        self._show = show

    def place(self, address: str) -> str:  # noqa: ARG002  (the protocol's)
        """Return the one place."""
        return ""

    async def send(self, message: Message) -> str:
        """Show the message."""
        try:
            self._show(message)
        except OSError as error:
            raise NotDelivered(f"the console cannot be written: {error}", permanent=False) from error
        return ""

"""A file: each message as one line of JSON, for who collects logs or wants a record on disk."""

import asyncio
import os
from pathlib import Path

import orjson

from kubernaut.api.notification import ChannelName, DeliveryEvent
from kubernaut.notification.channels.base import Message, NotDelivered
from kubernaut.notification.channels.webhook import payload
from kubernaut.notification.settings import FileSettings


class File:
    """Appends messages to a file."""

    name = ChannelName.FILE
    follows = frozenset({DeliveryEvent.ACKNOWLEDGED, DeliveryEvent.CLOSED})

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()

    def place(self, address: str) -> str:  # noqa: ARG002  (the protocol's)
        """Return the one place."""
        return ""

    async def send(self, message: Message) -> str:
        """Append the message, and see it on disk."""
        line = orjson.dumps(payload(message)) + b"\n"
        try:
            async with self._lock:
                await asyncio.to_thread(_append, self._settings.path, line, self._settings.max_bytes)
        except OSError as error:
            raise NotDelivered(f"{self._settings.path} cannot be written: {error.strerror}", permanent=False) from error
        return ""


def _append(path: Path, line: bytes, limit: int) -> None:
    """Append a line; a file that would grow beyond the limit is moved aside first."""
    if path.exists() and path.stat().st_size + len(line) > limit:
        path.replace(path.with_name(f"{path.name}.1"))
    with path.open("ab") as opened:
        opened.write(line)
        opened.flush()
        os.fsync(opened.fileno())

"""The way to a foreign cluster for tests whose names are fixed: what they call `kubernaut-system` has a name of the test's own there.

Requests leave with the names of the test's own, and answers come back with those that the test knows.
"""

import re
import secrets
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace

from kubernaut.kube import kubeconfig
from kubernaut.kube.errors import ApiError
from kubernaut.kube.transport import HttpTransport, Request, Transport


def own_names(names: Iterable[str]) -> dict[str, str]:
    """Give each of some names another one that nobody else uses."""
    mark = secrets.token_hex(3)
    return {name: f"t{mark}-{name}" for name in names}


def reach(path: str, names: dict[str, str]) -> "Renaming":
    """Return the way to the cluster of a kubeconfig, on which some names are others."""
    access = kubeconfig.load(path)
    way = HttpTransport(
        access.server, access.credentials, tls=access.tls, server_name=access.server_name, limit=64, user_agent="kubernaut-tests"
    )
    return Renaming(way, names)


class Renaming:
    """A transport over which some words are others."""

    def __init__(self, way: Transport, names: dict[str, str]) -> None:
        self._way = way
        self._names = names
        words = "|".join(re.escape(name) for name in names)
        self._known = re.compile(rf"(?<![A-Za-z0-9-])(?:{words})(?![A-Za-z0-9-])".encode())

    async def send(self, request: Request) -> bytes:
        """Send a request under other names."""
        with self._refusals():
            return self._back(await self._way.send(self._there(request)))

    async def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Send a request under other names and yield the answer line by line."""
        with self._refusals():
            async with aclosing(self._way.lines(self._there(request), idle=idle)) as lines:
                async for line in lines:
                    yield self._back(line)

    async def close(self) -> None:
        """Close all connections."""
        await self._way.close()

    def _there(self, request: Request) -> Request:
        query = {name: self._out(value.encode()).decode() for name, value in request.query.items()}
        body = None if request.body is None else self._out(request.body)
        return replace(request, path=self._out(request.path.encode()).decode(), query=query, body=body)

    def _out(self, text: bytes) -> bytes:
        return self._known.sub(lambda found: self._names[found[0].decode()].encode(), text)

    def _back(self, text: bytes) -> bytes:
        for name, own in self._names.items():
            text = text.replace(own.encode(), name.encode())
        return text

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            raise ApiError(error.status, error.reason, self._back(error.message.encode()).decode(), error.details) from error

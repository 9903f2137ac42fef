"""Who we are to the API server: a fixed token, a file that is replaced from time to time, or a command that prints a credential."""

import asyncio
import base64
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import orjson

from kubernaut.api.base import Obj
from kubernaut.kube.clock import Clock, SystemClock
from kubernaut.kube.errors import ApiError

REREAD_SECONDS: Final = 60.0
"""How long a token file's content is believed (kubelet replaces projected tokens long before they end)."""
COMMAND_SECONDS: Final = 60.0
OUTPUT_LIMIT: Final = 1024 * 1024
EXPIRY_MARGIN: Final = timedelta(seconds=10)


class Credential(NamedTuple):
    """What to send with a request."""

    authorization: str = ""
    """The Authorization header, or empty."""
    tls: ssl.SSLContext | None = None
    """Where the credential is a client certificate that changes."""


NOBODY: Final = Credential()


class Credentials(Protocol):
    """A source of credentials."""

    async def current(self) -> Credential:
        """Return what is valid now."""
        ...

    def refused(self) -> None:
        """Hear that the server answered 401: what was cached is worthless."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """A credential that never changes."""

    credential: Credential = NOBODY

    async def current(self) -> Credential:
        """Return what is valid now."""
        return self.credential

    def refused(self) -> None:
        """Hear that the server answered 401; there is nothing else to offer."""


@dataclass(slots=True)
class TokenFile:
    """A bearer token in a file that others replace."""

    path: Path
    _cached: Credential | None = None
    _until: float = 0.0

    async def current(self) -> Credential:
        """Return the file's token, read again every minute."""
        now = asyncio.get_running_loop().time()
        if self._cached is None or now >= self._until:
            self._cached, self._until = bearer(self.path.read_text("utf-8").strip()), now + REREAD_SECONDS
        return self._cached

    def refused(self) -> None:
        """Read the file again before the next request."""
        self._cached = None


@dataclass(slots=True)
class Command:
    """A command that prints an `ExecCredential` (client.authentication.k8s.io), as in a kubeconfig's `user.exec`."""

    argv: Sequence[str]
    env: Mapping[str, str]
    api_version: str
    tls: Callable[[bytes, bytes], ssl.SSLContext]
    """Makes a TLS context of a client certificate and key, both PEM."""
    clock: Clock = field(default_factory=SystemClock)
    _cached: Credential | None = None
    _expires: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self) -> Credential:
        """Return the cached credential, or run the command when it is about to end."""
        async with self._lock:
            expired = self._expires is not None and self.clock.now() >= self._expires - EXPIRY_MARGIN
            if self._cached is None or expired:
                self._cached, self._expires = self._read(await self._run())
            return self._cached

    def refused(self) -> None:
        """Run the command again before the next request."""
        self._cached = None

    async def _run(self) -> bytes:
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        env = {**os.environ, **self.env, "KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self.argv, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode or len(output) > OUTPUT_LIMIT:
            raise ApiError(0, "CredentialCommandFailed", f"{self.argv[0]} ended with {process.returncode} after {len(output)} bytes")
        return output

    def _read(self, output: bytes) -> tuple[Credential, datetime | None]:
        try:
            status: Obj = orjson.loads(output)["status"]
            expires = status.get("expirationTimestamp")
            return self._credential(status), datetime.fromisoformat(expires) if expires else None
        except (LookupError, TypeError, ValueError) as fault:
            raise ApiError(0, "CredentialCommandFailed", f"{self.argv[0]} printed no ExecCredential ({type(fault).__name__})") from fault

    def _credential(self, status: Obj) -> Credential:
        token, certificate = status.get("token"), status.get("clientCertificateData")
        tls = self.tls(certificate.encode(), status["clientKeyData"].encode()) if certificate else None
        return Credential(bearer(token).authorization if token else "", tls)


def bearer(token: str) -> Credential:
    """Return the credential of a bearer token."""
    return Credential(f"Bearer {token}")


def basic(user: str, password: str) -> Credential:
    """Return the credential of a user name and password."""
    return Credential(f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")

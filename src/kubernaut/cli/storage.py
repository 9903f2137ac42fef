"""How commands reach data storage: where it is, and the bearer token that is shown to it."""

import json
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

import aiohttp
import typer
from yarl import URL

from kubernaut.api.base import Obj
from kubernaut.cli.connecting import kubeconfig_of
from kubernaut.cli.places import running_place
from kubernaut.kube.kubeconfig import KubeconfigError
from kubernaut.kube.kubeconfig import load as load_kubeconfig
from kubernaut.network import words

FAULT_LIMIT: Final = 2048
CONNECT_SECONDS: Final = 10
SILENCE_SECONDS: Final = 60
ASKED_FOR_TOKEN: Final = 401
SCHEMES: Final = ("http", "https")

DataStorageOption = Annotated[
    str, typer.Option("--data-storage", envvar="KUBERNAUT_SERVICES__DATASTORAGE", help="URL of data storage; default: the embedded one")
]
TokenOption = Annotated[
    str, typer.Option("--token", envvar="KUBERNAUT_TOKEN", help="bearer token, where data storage asks for one; default: the kubeconfig's")
]
TokenFileOption = Annotated[
    Path | None, typer.Option("--token-file", envvar="KUBERNAUT_SERVICES__TOKEN_FILE", help="file that holds the bearer token")
]


class NoTrail(Exception):  # noqa: N818  (says what is so)
    """The trail cannot be read; the message says why."""


@dataclass(frozen=True)
class DataStorage:
    """A data storage, and what it is shown."""

    url: str
    authorization: str = field(default="", repr=False)
    """The Authorization header, or empty."""

    def session(self) -> aiohttp.ClientSession:
        """Open a session; an answer may take its time as long as something comes."""
        headers = {"Authorization": self.authorization} if self.authorization else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        return aiohttp.ClientSession(self.url, headers=headers, timeout=timeout)

    async def ask(self, path: str, **params: str) -> Obj:
        """Return the answer to a question; raise NoTrail where there is none."""
        try:
            async with self.session() as session, session.get(path, params=params) as answer:
                await self.refused(answer)
                found: Obj = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise NoTrail(f"data storage at {self.url} does not answer: {words(fault)}") from fault
        return found

    async def refused(self, answer: aiohttp.ClientResponse) -> None:
        """Raise NoTrail, in data storage's own words, unless the answer is a good one."""
        if answer.ok:
            return
        text = (await answer.content.read(FAULT_LIMIT)).decode(errors="replace")
        try:
            said = str(json.loads(text)["detail"])
        except (ValueError, KeyError, TypeError):
            said = text or str(answer.reason)
        hint = f" ({self._hint()})" if answer.status == ASKED_FOR_TOKEN else ""
        raise NoTrail(f"data storage at {self.url}: {said}{hint}")

    def _hint(self) -> str:
        """Say what to do about a token that is asked for."""
        if self.authorization:
            return "another one: --token-file FILE, or --kubeconfig FILE"
        where = "" if _safe(self.url) else "; the kubeconfig's goes over https alone, or to this machine"
        return f"give --token-file FILE, made by kubectl create token NAME{where}"


async def data_storage(url: str, *, token: str = "", token_file: Path | None = None, kubeconfig: Path | None = None) -> DataStorage:
    """Return the data storage to ask: the URL given, else the embedded system's; raise NoTrail where there is neither.

    It is shown the token given, the file's, or the kubeconfig's. The last goes only over https or to this machine.
    """
    url = _checked(url or _embedded())
    if not (token := token or _read(token_file)):
        return DataStorage(url, await _of_kubeconfig(kubeconfig) if _safe(url) else "")
    return DataStorage(url, f"Bearer {token}")


def _embedded() -> str:
    place = running_place()
    announced = place.announced() if place else None
    return announced.datastorage if announced else ""


def _checked(url: str) -> str:
    if not url:
        raise NoTrail("where is data storage? give --data-storage URL (nothing embedded runs here)")
    if URL(url).scheme not in SCHEMES or not URL(url).host:
        raise NoTrail(f"--data-storage {url} is no URL: write it like http://127.0.0.1:8085")
    return url


def _read(file: Path | None) -> str:
    """Return the token of a file; raise NoTrail where it holds none."""
    if file is None:
        return ""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise NoTrail(f"the token file {file} cannot be read: {getattr(fault, 'strerror', None) or 'it is no text'}") from fault
    if not token:
        raise NoTrail(f"the token file {file} is empty")
    return token


async def _of_kubeconfig(given: Path | None) -> str:
    """Return the header with a kubeconfig's bearer token; empty where it has none, or there is no kubeconfig."""
    try:
        access = load_kubeconfig(kubeconfig_of(given))
    except KubeconfigError:
        if given is not None:
            raise
        return ""
    authorization = (await access.credentials.current()).authorization
    return authorization if authorization.startswith("Bearer ") else ""


def _safe(url: str) -> bool:
    """Tell whether nobody on the way can read what is sent."""
    host = URL(url).host or ""
    try:
        return URL(url).scheme == "https" or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

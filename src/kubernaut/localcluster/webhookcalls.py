"""Calls to admission webhooks over HTTP: an AdmissionReview goes out, an AdmissionResponse comes back."""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
import orjson

from kubernaut.localcluster.errors import Obj

REVIEW = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
_ANSWER_MAX = 3 * 1024 * 1024
_SECONDS = 10


class CallFailedError(Exception):
    """A webhook could not be asked, or gave no answer that counts; says so in kube-apiserver's words."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a webhook is: its URL, and the name its certificate must bear where that is not the URL's host."""

    url: str
    server_name: str | None = None
    shown: str = ""
    """The URL as messages tell it."""
    fault: str = ""
    """Why nothing can be reached there."""


Locate = Callable[[Obj], Place]
"""Finds the service of a client configuration."""


class WebhookClient:
    """Asks webhooks; the session is made at the first call."""

    def __init__(self, locate: Locate) -> None:
        """Find services with `locate`."""
        self._locate = locate
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def ask(self, hook: Obj, request: Obj) -> Obj:
        """Return the AdmissionResponse of a webhook; raise CallFailedError."""
        config, seconds = hook["clientConfig"], hook.get("timeoutSeconds") or _SECONDS
        place = Place(config["url"], shown=config["url"]) if config.get("url") else self._locate(config["service"])
        told = f'failed to call webhook: Post "{place.shown or place.url}?timeout={seconds}s": '
        if place.fault:
            raise CallFailedError(told + place.fault)
        try:
            raw = await self._post(place, config, {**REVIEW, "request": request}, seconds)
        except TimeoutError as error:
            raise CallFailedError(f"{told}context deadline exceeded") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallFailedError(f"{told}{error}") from error
        return _response(raw, request["uid"])

    async def _post(self, place: Place, config: Obj, review: Obj, seconds: int) -> bytes:
        self._session = self._session or aiohttp.ClientSession(trust_env=False)
        trusted = _context(config.get("caBundle")) if place.url.startswith("https:") else True
        async with (
            asyncio.timeout(seconds),
            self._session.post(
                f"{place.url}?timeout={seconds}s",
                data=orjson.dumps(review),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                ssl=trusted,
                server_hostname=place.server_name,
                allow_redirects=False,
            ) as response,
        ):
            raw = await _body(response)
            if not response.ok:
                raise CallFailedError(
                    f"failed to call webhook: the server answered {response.status}: {raw[:200].decode(errors='replace')}"
                )
            return raw


def _context(bundle: str | None) -> ssl.SSLContext:
    """Trust the certificates of a bundle, the system's where there is none; raise ValueError for a bundle that cannot be read."""
    try:
        pem = base64.b64decode(bundle).decode() if bundle else None
        return ssl.create_default_context(cadata=pem)
    except (binascii.Error, ssl.SSLError) as error:
        raise ValueError(f"unable to load root certificates: {error}") from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _ANSWER_MAX:
            raise CallFailedError(f"failed to call webhook: the answer is longer than {_ANSWER_MAX} bytes")
    return bytes(body)


def _response(raw: bytes, uid: str) -> Obj:
    """Check an AdmissionReview as kube-apiserver does."""
    try:
        review = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CallFailedError(f"received invalid webhook response: {error}") from error
    if not isinstance(review, dict) or {key: review.get(key) for key in REVIEW} != REVIEW:
        raise CallFailedError("received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview")
    response = review.get("response")
    if not isinstance(response, dict):
        raise CallFailedError("received invalid webhook response: webhook response did not include a response")
    if response.get("uid") != uid:
        raise CallFailedError(f'received invalid webhook response: expected response.uid={quote(uid)!r}, got "{response.get("uid", "")}"')
    return response

"""One request to an ASGI app of this process, without a socket."""

import orjson
from starlette.types import ASGIApp, Message


async def post(app: ASGIApp, path: str, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> tuple[int, bytes]:
    """Send a JSON body; return status and body of the answer."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers],
        "server": ("simulation", 80),
        "client": ("simulation", 1),
    }
    asked, status, parts = [body], [0], list[bytes]()

    async def receive() -> Message:
        return {"type": "http.request", "body": asked.pop() if asked else b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status[0] = message["status"]
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status[0], b"".join(parts)


def decoded(body: bytes) -> dict[str, object]:
    """Return a JSON body."""
    found: dict[str, object] = orjson.loads(body)
    return found

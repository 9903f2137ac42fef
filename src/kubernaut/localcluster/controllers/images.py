"""Image references as a container runtime sees them: full names, ids, and its words when a pull fails."""

import hashlib
import re
from typing import Final

__all__ = ["full_name", "image_id", "is_valid", "pull_fault", "size_of_image"]

_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?"
_REFERENCE: Final = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")
_FAULTS: Final = {
    "notFound": ("NotFound", "{short}: not found"),
    "denied": (
        "Unknown",
        (
            "pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed"
        ),
    ),
    "unreachable": (
        "Unknown",
        'failed to do request: Head "https://{host}/v2/{path}/manifests/{tag}": dial tcp: lookup {host}: no such host',
    ),
}


def is_valid(image: str) -> bool:
    """Tell whether the text is an image reference."""
    return _REFERENCE.fullmatch(image) is not None


def full_name(image: str) -> str:
    """Return the reference with registry and tag (`nginx` is `docker.io/library/nginx:latest`)."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{image}"
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def image_id(image: str) -> str:
    """Return the id of an image, the same for the same reference."""
    return "sha256:" + hashlib.sha256(full_name(image).encode()).hexdigest()


def size_of_image(image: str) -> int:
    """Return a plausible size in bytes, the same for the same reference."""
    return 5_000_000 + int(image_id(image)[7:13], 16) * 9


def pull_fault(image: str, why: str) -> str:
    """Return containerd's message for a failed pull: `notFound`, `denied` or `unreachable`."""
    name = full_name(image)
    host, _, rest = name.partition("/")
    path, _, tag = rest.partition(":")
    code, cause = _FAULTS[why]
    told = cause.format(short=name, host=host, path=path, tag=tag)
    return f'rpc error: code = {code} desc = failed to pull and unpack image "{name}": failed to resolve reference "{name}": {told}'

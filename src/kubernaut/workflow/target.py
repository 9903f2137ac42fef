"""What a workflow acts on, in the forms that strings, labels and lock names need; pure."""

import re
from hashlib import sha256

LABEL_LIMIT = 63
_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_TARGET = re.compile(rf"^([a-z0-9]([-a-z0-9]{{0,61}}[a-z0-9])?/)?[a-z][a-zA-Z0-9]{{0,99}}/{_NAME}$")
_ILLEGAL = re.compile(r"[^A-Za-z0-9._-]")
_EDGE = "._-"


def is_target(text: str) -> bool:
    """Tell whether text is `namespace/kind/name`, or `kind/name` of a cluster-scoped object."""
    return _TARGET.match(text) is not None


def label_value(text: str) -> str:
    """Return text as a legal label value: `/` becomes `.`; what is longer than 63 is cut and ends in a hash of the whole."""
    legal = _ILLEGAL.sub("-", text.replace("/", ".")).strip(_EDGE)
    if len(legal) <= LABEL_LIMIT:
        return legal
    return f"{legal[: LABEL_LIMIT - 9].rstrip(_EDGE)}-{sha256(text.encode()).hexdigest()[:8]}"


def lock_name(target: str) -> str:
    """Return the name of the Lease that stands for a target: all of its SHA-256."""
    return f"target-{sha256(target.encode()).hexdigest()}"

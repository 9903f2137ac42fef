"""What a change did to an object, and the exact way back, with no secret in either: the one journal of typed actions and of runs; pure.

Objects are compared as `kubernaut.api.keyed` writes them, so a variable that holds a secret is in no journal for the sake of the limit
that was raised beside it. Where what changed holds what looks like a secret, nothing that would restore it is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import pbkdf2_hmac
from typing import Any, Final

import orjson

from kubernaut.api.base import Obj
from kubernaut.api.keyed import keyed, unkeyed
from kubernaut.api.redact import HIDDEN, redact, redact_value
from kubernaut.kube.patches import inverse, merged, touched
from kubernaut.kube.status import changes

ROUNDS: Final = 50_000
"""Of the digest of what was left out: each guess at a weak password costs as much."""
PATH: Final = 200
NAMED: Final = 3
"""Fields that are named of those that cannot be kept."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """The fields that a change touched, as they were and as it left them, and the merge patch that takes it back."""

    before: Obj
    after: Obj
    patch: Obj
    """Empty where `withheld` says why nothing is kept."""
    withheld: str = ""


def reversal(before: Obj, after: Obj, seen: Obj | None = None) -> Reversal:
    """Compare two states of an object, both `keyed`; `seen` is the second with what the server adds to it."""
    patch = changes(before, after) or {}
    back = inverse(before, patch)
    was, now = touched(before, patch), touched(after if seen is None else seen, back)
    if not (why := _withheld(back, now)):
        return Reversal(was, now, back)
    return Reversal(redact_value(was), redact_value(now), {}, why)


def change_of(current: Obj, patch: Obj, trial: Obj | None = None) -> Reversal:
    """Return what a plain merge patch changes of an object, which becomes `trial` once the server has had its say."""
    return reversal(keyed(current), keyed(merged(current, patch)), keyed(trial) if trial else None)


def creation_of(made: Obj, body: Obj) -> Reversal:
    """Return what is put on record of an object that is made: of what the server made of it, the fields that were asked for."""
    after = touched(keyed(made), keyed(body))
    why = _withheld(after)
    return Reversal({}, redact_value(after) if why else after, {}, why)


def as_left(made: Obj, recorded: Obj, back: Obj) -> Obj:
    """Return the fields on record as a change has left them: those that its way back touches, if it has one."""
    found: Obj = redact_value(touched(keyed(made), back or recorded))
    return found


def against(current: Obj, patch: Obj) -> Obj:
    """Return the plain merge patch that does to an object as it is what a patch does to it as `keyed` writes it."""
    return changes(current, unkeyed(merged(keyed(current), patch))) or {}


def sealed(content: Obj, salt: str) -> tuple[Obj, str]:
    """Return a `keyed` object without what looks like a secret, and what tells whether that changes later; empty where there is none."""
    clean: Obj = redact_value(content)
    out = dict(_left_out(content, clean))
    if not out:
        return clean, ""
    return clean, pbkdf2_hmac("sha256", orjson.dumps(out, option=orjson.OPT_SORT_KEYS), salt.encode(), ROUNDS).hex()


def _withheld(*parts: Obj) -> str:
    """Say what cannot be kept of a change, and what follows; empty where all of it can."""
    secret = sorted({path for part in parts for path, _ in _left_out(part, redact_value(part))})
    more = f" and {len(secret) - NAMED} more" if len(secret) > NAMED else ""
    told = f"what looks like a secret, which is not kept ({', '.join(secret[:NAMED])}{more})"
    return f"what it changes holds {told}: it cannot be taken back by itself" if secret else ""


def _left_out(raw: Any, clean: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each field that is, or was before, not shown as it is."""
    if isinstance(raw, dict) and isinstance(clean, dict) and raw.keys() == clean.keys():
        for key in raw:
            yield from _left_out(raw[key], clean[key], f"{above}.{key}" if above else key)
    elif raw != clean or (isinstance(raw, str | list) and HIDDEN in orjson.dumps(raw).decode()):
        yield redact(above)[:PATH], raw

"""Takes secrets out of what leaves: messages, logs, audit records, prompts, our own objects. Keeps the keys: people see what stood there.

The one redactor: every exit calls `redact` or `redact_value`. It knows what Kubernetes objects look like, also where they
are written down as JSON within a text. What it cannot judge it leaves out, and says so.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from kubernaut.api.keyed import item_name
from kubernaut.api.redact_forms import FORMS, HIDDEN
from kubernaut.api.redact_keys import is_many, is_pointer, is_secret_name
from kubernaut.api.redact_text import without_secrets

__all__ = ["DROPPED", "HIDDEN", "TALLY", "redact", "redact_value"]

DROPPED: Final = f"{HIDDEN} (left out: it could not be searched for secrets)"
DEPTH: Final = 64
"""Levels of nesting that are searched; what lies deeper is left out."""
INNER: Final = 4
"""Levels of JSON within a text of JSON that are taken apart."""
TRIES: Final = 16
"""Places of a text at which JSON is looked for."""
SHORT: Final = 512
KNOWN: Final = 4096
_CLEAN: Final[set[str]] = set()
"""Short texts in which nothing was found: names, phases and reasons come again and again. What holds a secret is never kept."""
_OPENS: Final = re.compile(r"\{\s{0,64}\"|\[\s{0,64}[{\[\"]")
_JSON: Final = json.JSONDecoder()
_DATA: Final = ("data", "stringData")
_FAULTS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError, re.error)
"""What a fault of the search may raise; whatever else it raises keeps the text from leaving too."""


@dataclass
class Tally:
    """How many secrets this process has hidden; the metrics tell it."""

    hidden: int = 0

    def note(self, before: object, after: object) -> None:
        """Count what is hidden after and was not before."""
        if before != after:
            self.hidden += max(0, str(after).count(HIDDEN) - str(before).count(HIDDEN))


TALLY: Final = Tally()


def redact(text: str) -> str:
    """Return a text without secrets; one that cannot be searched is left out."""
    clean = _searched(text, 0)
    TALLY.note(text, clean)
    return clean


def redact_value(value: Any, *, key: str = "") -> Any:
    """Return decoded JSON without secrets: texts are searched, and what stands under a secret's name is hidden."""
    try:
        clean = _value(value, key, 0, 0, hidden=_promises(key, value))
        TALLY.note(value, clean)
    except _FAULTS:
        TALLY.hidden += 1
        return _dropped(value)
    return clean


def _dropped(value: Any) -> Any:
    """Return what stands for a value that cannot be searched: of its kind, so that whoever takes it still can."""
    if isinstance(value, Mapping):
        return {"redacted": DROPPED}
    return [DROPPED] if isinstance(value, list | tuple) else DROPPED


def _text(text: str, inner: int) -> str:
    """Search a text; what is JSON in it is searched as what it means."""
    first, pieces, at = "", list[str](), 0
    places = islice(_OPENS.finditer(text), TRIES) if inner < INNER else ()
    for place in places:
        if place.start() < at:
            continue
        try:
            found, end = _JSON.raw_decode(text, place.start())
        except ValueError:
            continue
        clean = _value(found, "", 0, inner + 1, hidden=False)
        if not text[: place.start()].strip():
            first, at = text[: place.start()] + (text[place.start() : end] if clean == found else _written(clean, text)), end
        elif clean != found:
            pieces += text[at : place.start()], _written(clean, text[place.start() : end])
            at = end
    return first + without_secrets("".join((*pieces, text[at:])))


def _written(clean: Any, text: str) -> str:
    """Write JSON as closely as it was written before."""
    indent = 2 if "\n" in text else None
    tight = (",", ":") if '": ' not in text else None
    return json.dumps(clean, ensure_ascii=False, indent=indent, separators=tight)


def _value(value: Any, key: str, depth: int, inner: int, *, hidden: bool) -> Any:
    if depth > DEPTH:
        return DROPPED
    if isinstance(value, Mapping):
        return _mapping(value, key, depth, inner, hidden=hidden)
    if isinstance(value, list | tuple):
        return _list(list(value), key, depth, inner, hidden=hidden)
    return _leaf(value, key, inner, hidden=hidden)


def _leaf(value: Any, key: str, inner: int, *, hidden: bool) -> Any:
    """Hide a text or number under a secret's name; a truth value and a number of secrets are none."""
    if isinstance(value, str):
        counts = is_many(key) and value.isdecimal()
        return HIDDEN if value and hidden and not counts else _searched(value, inner)
    if isinstance(value, int | float) and not isinstance(value, bool) and hidden and not is_many(key):
        return HIDDEN
    return value


def _searched(text: str, inner: int) -> str:
    """Search one text of many; one that cannot be searched is left out alone."""
    if text in _CLEAN:
        return text
    try:
        clean = _text(text, inner)
    except _FAULTS:
        return DROPPED
    if clean == text and inner == 0 and len(text) <= SHORT:
        if len(_CLEAN) >= KNOWN:
            _CLEAN.clear()
        _CLEAN.add(text)
    return clean


def _mapping(value: Mapping[Any, Any], key: str, depth: int, inner: int, *, hidden: bool) -> dict[Any, Any]:
    secret = value.get("kind") in ("Secret", "SecretList")
    named = _pair_name(value, key)
    clean: dict[Any, Any] = {}
    for name, item in value.items():
        shown = FORMS.sub(HIDDEN, name) if isinstance(name, str) else name
        if secret and name in _DATA:
            clean[shown] = _all_hidden(item)
            continue
        below = _promises(str(name), item) or (hidden and not is_pointer(str(name))) or (name == "value" and is_secret_name(named))
        clean[shown] = _value(item, str(name), depth + 1, inner, hidden=below)
    return clean


def _promises(name: str, item: Any) -> bool:
    """Tell whether a name promises a secret; a container's that stands for it in a map (`kubernaut.api.keyed`) does not."""
    return is_secret_name(name) and not (isinstance(item, Mapping) and item_name(name))


def _pair_name(value: Mapping[Any, Any], key: str) -> str:
    """Return the name of a pair such as an environment variable, a header or a parameter."""
    found = (item_name(key) or None, *(value.get(each) for each in ("name", "key", "header", "path")))
    return next((each for each in found if isinstance(each, str)), "") if "value" in value else ""


def _all_hidden(data: Any) -> Any:
    """Return a Secret's data with its keys alone."""
    return {FORMS.sub(HIDDEN, str(name)): HIDDEN for name in data} if isinstance(data, Mapping) else HIDDEN


def _list(value: list[Any], key: str, depth: int, inner: int, *, hidden: bool) -> list[Any]:
    """Search a list; of arguments, what follows a flag that is named after a secret is hidden."""
    clean, flagged = list[Any](), False
    for item in value:
        clean.append(_value(item, key, depth + 1, inner, hidden=hidden or (flagged and isinstance(item, str))))
        flagged = isinstance(item, str) and item.startswith("-") and "=" not in item and is_secret_name(item)
    return clean

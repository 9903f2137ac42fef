"""What may reach a model of the cluster's texts: no secrets, and no sentence that is written for the model instead of for people. Pure.

A line that reads as an instruction is withheld and told to people. That is a sieve and no wall: what keeps an instruction that
slips through from doing harm is that an answer is held against an offer that no text had a part in (`offer.py`, `answer.py`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kubernaut.analysis.investigators.base import plain
from kubernaut.analysis.investigators.holmesgpt.plants import Sieve
from kubernaut.api.redact import HIDDEN, redact

WITHHELD: Final = "[withheld: a text in the cluster that reads as an instruction]"
LONG: Final = 300
"""A longer line is looked at piece by piece, lest a whole document is withheld for one field."""
AFTER: Final = 3
"""Lines after an instruction that are withheld too where they go on with it."""
_KEY: Final = r"(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|token|credential|private[_-]?key)[\w.-]{0,64}"
_NAME: Final = rf"[\w.-]{{0,64}}{_KEY}"
_QUOTE: Final = r"\\{0,7}[\"']?"
_MORE_SECRETS: Final = (
    re.compile(rf"(?i)(name{_QUOTE}\s*[:=]\s*{_QUOTE}{_NAME}{_QUOTE}\s*,?\s*{_QUOTE}value{_QUOTE}\s*[:=]\s*{_QUOTE})([^\s\"'\\,}}]+)"),
    re.compile(rf"(?i)(value{_QUOTE}\s*[:=]\s*{_QUOTE})([^\s\"'\\,}}]+)(?={_QUOTE}\s*,?\s*{_QUOTE}name{_QUOTE}\s*[:=]\s*{_QUOTE}{_NAME})"),
    re.compile(rf"(?i)({_KEY}\\{{1,7}}\"\s*:\s*\\{{1,7}}\")([^\"\\]+)"),
)
"""What stands in environment variables of containers, and in JSON within JSON."""
_FIELD_ENDS: Final = re.compile(r"(?<=[\"\d\]}el]),\s*(?=\\{0,7}[\"{\[])|\\n")
"""Where one field of JSON ends and the next begins, or an escaped line ends."""


@dataclass(frozen=True, slots=True)
class Screened:
    """A text as a model may see it."""

    text: str
    planted: tuple[str, ...] = ()
    """What was withheld, fit for people's eyes."""


def hide(text: str) -> str:
    """Return a text without secrets: those of messages, and those of manifests."""
    text = redact(text)
    for pattern in _MORE_SECRETS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def screen(text: str, sieve: Sieve) -> Screened:
    """Return a text without secrets and instructions."""
    planted: list[str] = []
    lines = _sifted(hide(text).split("\n"), sieve, planted)
    return Screened("\n".join(lines), tuple(planted))


def screen_value(value: Any, sieve: Sieve, planted: list[str]) -> Any:
    """Return decoded JSON whose keys and texts are screened; what was withheld is added to `planted`."""
    if isinstance(value, dict):
        return {screen_value(str(key), sieve, planted): screen_value(item, sieve, planted) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [screen_value(item, sieve, planted) for item in value]
    if not isinstance(value, str):
        return value
    found = screen(value, sieve)
    planted += found.planted
    return found.text


def _sifted(parts: Iterable[str], sieve: Sieve, planted: list[str]) -> Iterator[str]:
    """Yield the parts of a text, with what reads as an instruction, or goes on with one, withheld and added to `planted`."""
    left = 0
    for part in parts:
        caught = sieve.catches(part)
        pieces = list(_pieces(part)) if caught and len(part) > LONG else []
        if any(sieve.catches(piece) for piece in pieces) and len(pieces) > 1:
            yield "".join(_sifted(pieces, sieve, planted))
        elif caught or (left > 0 and sieve.goes_on(part)):
            planted.append(plain(part.strip(), 120))
            yield WITHHELD
        else:
            yield part
        left = AFTER if caught else left - 1


def _pieces(line: str) -> Iterator[str]:
    start = 0
    for found in _FIELD_ENDS.finditer(line):
        yield line[start : found.end()]
        start = found.end()
    yield line[start:]

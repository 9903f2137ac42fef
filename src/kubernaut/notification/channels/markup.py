"""Markdown as channels want it: sections, pieces within a limit, Slack's dialect, HTML. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt

FENCE: Final = "```"
_HEADING: Final = re.compile(r"^#{1,6} +(.*)$")
_BOLD: Final = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_LINK: Final = re.compile(r"\[([^\[\]\n]{1,300})\]\((https?://[^\s()]{1,2000})\)")
_LANGUAGE: Final = re.compile(r"^```[A-Za-z]+$")
_HTML: Final = MarkdownIt("commonmark", {"html": False, "breaks": True})


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a text; the first may have no title."""

    title: str
    text: str


def sections(body: str) -> list[Section]:
    """Return the parts of a text, each begun by a `##` line; what is empty is left out."""
    found: list[tuple[str, list[str]]] = [("", [])]
    fenced = False
    for line in body.splitlines():
        fenced ^= line.startswith(FENCE)
        heading = None if fenced else _HEADING.match(line)
        if heading:
            found.append((heading[1], []))
        else:
            found[-1][1].append(line)
    parts = [Section(title, "\n".join(lines).strip("\n")) for title, lines in found]
    return [part for part in parts if part.title or part.text]


def pieces(text: str, limit: int) -> Iterator[str]:
    """Yield a text in pieces within a limit of at least 20 characters, cut between lines where possible; code stays code."""
    room = limit - 2 * len(FENCE) - 2
    held: list[str] = []
    fenced = False
    for line in _lines(text, room):
        if held and len("\n".join([*held, line])) > room:
            yield "\n".join([*held, FENCE] if fenced else held)
            held = [FENCE] if fenced else []
        held.append(line)
        fenced ^= line.startswith(FENCE)
    if held:
        yield "\n".join(held)


def _lines(text: str, room: int) -> Iterator[str]:
    """Yield the lines of a text, long ones in parts."""
    for line in text.splitlines():
        for start in range(0, max(len(line), 1), room - len(FENCE) - 1):
            yield line[start : start + room - len(FENCE) - 1]


def cut(text: str, limit: int, more: str) -> str:
    """Return a text within a limit; a longer one ends between lines, its code is closed, and `more` says where the rest is."""
    if len(text) <= limit:
        return text
    kept = text[: max(limit - len(more) - 2 * len(FENCE), 0)]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept
    closing = f"\n{FENCE}" if sum(line.startswith(FENCE) for line in kept.splitlines()) % 2 else ""
    return f"{kept}{closing}\n{more}"[:limit]


def mrkdwn(text: str) -> str:
    """Return a text in Slack's dialect: its three characters escaped, bold by one star, links in angle brackets; code as it is."""
    fenced, lines = False, []
    for line in text.splitlines():
        fence = line.startswith(FENCE)
        escaped = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        lines.append(_LANGUAGE.sub(FENCE, escaped) if fence or fenced else _spoken(escaped))
        fenced ^= fence
    return "\n".join(lines)


def _spoken(line: str) -> str:
    return re.sub(r"^(\s*)- ", r"\1• ", _BOLD.sub(r"*\1*", _LINK.sub(r"<\2|\1>", line)))


def html(text: str) -> str:
    """Return a text as HTML; what was HTML in it is shown as text."""
    return str(_HTML.render(text))


def fenceless(text: str) -> str:
    """Return a text without the marks of code, for who cannot show it."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(FENCE))


def one_line(text: str, limit: int) -> str:
    """Return a text as one line within a limit."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def where(whole: str) -> str:
    """Say where the uncut text is: a URL, or a command."""
    if not whole:
        return "… cut"
    return f"… cut. [The whole text]({whole})" if whole.startswith(("https://", "http://")) else f"… cut. The whole text: `{whole}`"

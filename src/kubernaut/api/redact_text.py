"""Secrets in plain text: the forms that credentials have, and what stands behind a secret's name. Used by `redact`; pure.

Every rule goes over a text once: its length costs what it costs, whatever stands in it.
"""

import re
from collections.abc import Iterator
from typing import Final

from kubernaut.api.redact_forms import CODE, HIDDEN, coded, is_said, without_commands, without_forms
from kubernaut.api.redact_keys import is_pointer, is_secret_name

_NAMED: Final = re.compile(
    r"(?<![\w.-])((?:(?<!non-existent )(?i:api|access|secret|private|account|signing|encryption) (?=[Kk]ey))?[\w.-]++)"
    r"\\*+(?:''|[\"'])?\]?[ \t]*+(?:(?:=>|:=|={2,3})(?=[ \t\"'])|[:=]|%3[AaDd])[ \t]*+"
)
_NAMING: Final = frozenset({"name", "key", "header", "path"})
_NAME: Final = re.compile(r"\\{0,7}[\"']?([\w./-]{1,256})")
_NAME_AFTER: Final = re.compile(
    r"(?:\\{0,7}[\"'][^\"'\n\\]{0,256}\\{0,7}[\"']|[^\s,\"'{}\\]{1,256})[\s,;]{0,64}"
    r"\\{0,7}[\"']?(?i:name|key|path)\\{0,7}[\"']?[ \t]{0,8}[:=][ \t]{0,8}\\{0,7}[\"']?([\w./-]{1,256})"
)
"""A value and, after it, its name."""
_ANSI: Final = re.compile(r"(?:\x1b|\\(?:e|x1[bB]|u001[bB]|033))\[[\d;]{0,16}[A-Za-z]")
_OPENING: Final = re.compile(r"(\\*+)(''(?=[^\s'\",;:}\])])|[\"'])")
"""YAML writes a quote within quotes twice."""
_BARE: Final = re.compile(r"(?:[^\s,;&\"']|[,;&](?!\s|[\w.%-]++[=:]|\Z))++")
_AUTHORIZATION: Final = re.compile(r"(?i)(?:bearer|basic|token|negotiate|digest|apikey)[ \t]++(?=\S)")
_BLOCK: Final = re.compile(r"[|>][+-]?\d?[+-]?[ \t]*+(?=\n)")
_ROW: Final = re.compile(r"( *+)((?:- )?)([^\n]*+)(?:\n|\Z)")
_ENTRY: Final = re.compile(r"([\"']?[\w.-]++[\"']?:)[ \t]*+(.*)")
_BRACKET: Final = re.compile(r"[{}\[\]]")
_LISTED: Final = re.compile(r"[{\[][\s\\\"']")
_SECRET: Final = re.compile(r"kind[\\\"']{0,16}[ \t]{0,8}:[ \t]{0,8}[\\\"']{0,16}(?:Secret|SecretList)\b")
_DATA: Final = re.compile(
    r"(?:^([ \t]*+)(- )?|[\"'])(?:data|stringData)[\\\"']*+[ \t]*+:[ \t]*+(?:\{(?!\*)|\n(?=\1[ \t])(?![ \t]*\*))",
    re.MULTILINE,
)
_COOKIES: Final = re.compile(r"(?i)(?:set-)?cookies?")
_LINE: Final = re.compile(r"[^\n\"']++")
_HIDDEN: Final = re.compile(re.escape(HIDDEN) + r"(?=[\s\"',;}\])]|\Z)")


def without_secrets(text: str) -> str:
    """Return a plain text without secrets."""
    if "[" in text:
        text = _ANSI.sub("", text)
    if "ecret" in text and _SECRET.search(text):
        text = "".join(_manifests(text))
    text = without_forms(text)
    text = "".join(_named(text)) if any(each in text for each in ":=%") else text
    return CODE.sub(_decoded, without_commands(text))


def _decoded(found: re.Match[str]) -> str:
    """Hide a text in base 64 that holds a secret."""
    said = coded(found.group())
    return HIDDEN if said and without_secrets(said) != said else found.group()


def _named(text: str) -> Iterator[str]:
    """Give the text in pieces, with what stands behind secrets' names hidden."""
    at, done, pair = 0, 0, ""
    while (named := _NAMED.search(text, at)) is not None:
        at, key = named.end(), named[1].lower()
        name = (pair or _first(_NAME_AFTER, text, at)) if key == "value" else _promising(text, named)
        pair = _first(_NAME, text, at) if key in _NAMING else ""
        if is_secret_name(name):
            yield text[done:at]
            done, said = _value(text, at, name)
            at = done
            yield said
    yield text[done:]


def _promising(text: str, named: re.Match[str]) -> str:
    """Return a name without what an escape before it has left at its beginning, as in `%3Ftoken`, if that makes it a secret's."""
    before, name = text[max(0, named.start() - 1) : named.start()], named[1]
    cut = {"%": 2, "\\": 1}.get(before, 0)
    return name[cut:] if cut and is_secret_name(name[cut:]) else name


def _first(pattern: re.Pattern[str], text: str, at: int) -> str:
    found = pattern.match(text, at)
    return found[1] if found else ""


def _value(text: str, at: int, name: str) -> tuple[int, str]:
    """Return where the value that begins at a place ends, and what to write in its stead."""
    if scheme := _AUTHORIZATION.match(text, at):
        end, said = _value(text, scheme.end(), name)
        return end, scheme.group() + said
    if block := _BLOCK.match(text, at):
        return _rows(text, block.end(), block.group())[0], HIDDEN + "\n"
    if text[at : at + 1] == "\n":
        return _rows(text, at, "")
    if opening := _OPENING.match(text, at):
        return _quoted(text, opening)
    if _LISTED.match(text, at):
        return _bracketed(text, at), HIDDEN
    if hidden := _HIDDEN.match(text, at):
        return hidden.end(), HIDDEN
    bare = (_LINE if _COOKIES.fullmatch(name) else _BARE).match(text, at)
    if bare is None or is_said(name, bare.group()):
        return (bare.end(), bare.group()) if bare else (at, "")
    return bare.end(), HIDDEN


def _rows(text: str, at: int, block: str) -> tuple[int, str]:
    """Hide the rows of YAML that belong to the key whose own row ends at a place; what only says where a secret is stays."""
    start = text.rfind("\n", 0, at) + 1
    own, said, at = _ROW.match(text, start), ["\n"], at + 1
    if own is None or not (block or _ENTRY.fullmatch(own[3].rstrip())):
        return at - 1, ""
    deep = len(own[1])
    while (row := _ROW.match(text, at)) is not None and row.group():
        listed = bool(row[2]) and not block
        if row[3] and len(row[1]) < deep + (0 if listed else 1):
            break
        said.append(_row(row))
        at = row.end()
    return at, "".join(said)


def _row(row: re.Match[str]) -> str:
    entry, end = _ENTRY.fullmatch(row[3]), row.group()[len(row[1]) + len(row[2]) + len(row[3]) :]
    head, value = (f"{entry[1]} ", entry[2]) if entry else ("", row[3])
    if not value or (entry and is_pointer(entry[1].strip("\"':"))) or is_said("", value):
        return row.group()
    return f"{row[1]}{row[2]}{head}{HIDDEN}{end}"


def _quoted(text: str, opening: re.Match[str]) -> tuple[int, str]:
    """Hide up to the quote that closes: one with as many backslashes as its level of escaping has; without one, all that follows."""
    start, end = opening.end(), _closing(text, opening)
    inner = text[start : end[0]]
    return end[1], opening.group() + (HIDDEN if inner else "") + text[end[0] : end[1]]


def _closing(text: str, opening: re.Match[str]) -> tuple[int, int]:
    """Return where the closing quote begins (its own backslashes with it) and ends."""
    escapes, quote = len(opening[1]), opening[2]
    for found in re.compile(rf"\\*+{quote}").finditer(text, opening.end()):
        run = len(found.group()) - 1
        if run >= escapes and (run - escapes) % (2 * (escapes + 1)) == 0:
            return found.end() - 1 - escapes, found.end()
    return len(text), len(text)


def _bracketed(text: str, at: int) -> int:
    """Return where the bracket that opens at a place is closed; without that, where the text ends."""
    depth = 0
    for found in _BRACKET.finditer(text, at):
        depth += 1 if found.group() in "{[" else -1
        if depth == 0:
            return found.end()
    return len(text)


def _manifests(text: str) -> Iterator[str]:
    """Give the text of a Secret's manifest, in YAML or JSON, without what its data holds."""
    at = 0
    while (block := _DATA.search(text, at)) is not None:
        yield text[at : block.end()]
        at = _bracketed(text, block.end() - 1) if block.group().endswith("{") else _indented(text, block)
        yield f"{HIDDEN}}}" if block.group().endswith("{") else f"{_depth(block)}  {HIDDEN}\n"
    yield text[at:]


def _indented(text: str, block: re.Match[str]) -> int:
    """Return where the lines end that are indented deeper than the one before."""
    return re.compile(rf"(?:{_depth(block)}[ \t][^\n]*+(?:\n|\Z)|[ \t]*+\n)*+").match(text, block.end()).end()  # type: ignore[union-attr]


def _depth(block: re.Match[str]) -> str:
    """Return the indentation of a block's key; where the key is the first of a list's item, that of the others."""
    return block[1] + ("  " if block[2] else "")

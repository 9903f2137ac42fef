"""Secrets in plain text: the forms that credentials have, and what stands behind a secret's name. Used by `redact`; pure.

Every rule goes over a text once: its length costs what it costs, whatever stands in it.
"""

import re
from collections.abc import Iterator
from typing import Final

from kubernaut.api.redact_keys import is_many, is_secret_name

HIDDEN: Final = "***REDACTED***"
_B: Final = r"(?<![A-Za-z0-9_-])"
"""Before a credential: rules begin only where a word begins, so that no text is looked at twice."""
_FORMS: Final = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----(?s:.*?)(?:-----END [A-Z ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|\Z)",
    _B + r"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.?[A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]++){0,2}",
    _B + r"gh[pousr]_[A-Za-z0-9]{20,}+",
    _B + r"github_pat_[A-Za-z0-9_]{20,}+",
    _B + r"glpat-[A-Za-z0-9_-]{16,}+",
    _B + r"sk-[A-Za-z0-9_-]{16,}+",
    _B + r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}+",
    _B + r"(?:xox[abeprs]|xapp)-[A-Za-z0-9-]{10,}+",
    _B + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    _B + r"AIza[A-Za-z0-9_-]{35}",
    _B + r"ya29\.[A-Za-z0-9_-]{16,}+",
    _B + r"(?:dop|doo|dor)_v1_[a-f0-9]{32,}+",
    _B + r"hvs\.[A-Za-z0-9_-]{16,}+",
    _B + r"npm_[A-Za-z0-9]{30,}+",
    _B + r"pypi-[A-Za-z0-9_-]{30,}+",
    _B + r"hf_[A-Za-z0-9]{30,}+",
    _B + r"SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+",
    _B + r"AGE-SECRET-KEY-1[A-Z0-9]{40,}+",
    r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9/_-]++",
)
FORMS: Final = re.compile("|".join(_FORMS))
_RUN: Final = re.compile(r"(?<![A-Za-z0-9+/=_.-])[A-Za-z0-9+][A-Za-z0-9+/]{63,}+={0,2}(?![A-Za-z0-9_.-])")
"""A long run in base 64: keys and certificates without a name. Paths, digests in hex and names are told apart by `_is_noise`."""
_URL: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30}+://)([^\s/:@?#\"'<>\\]{0,256}+)(:(?!\d{1,5}[/?#\s])[^\s\"'<>\\]{0,256})?@"
)
_TCP: Final = re.compile(r"(?<![\w.%+-])([\w.%+-]{1,64}+:)[^\s\"']{1,128}?(@(?:tcp|unix)\()")
_SCHEME: Final = re.compile(r"(?i)(?<![\w-])(bearer|basic|negotiate|digest)([ \t]++)([A-Za-z0-9._~+/=-]{8,}+)")
_CURL: Final = re.compile(r"(?<![\w-])(-u|--user|--proxy-user)([ =]['\"]?[^\s:'\"]{1,128}+:)[^\s'\"]++")
_FLAG: Final = re.compile(r"(?<![\w-])--([A-Za-z][\w.-]*+)([ \t]++['\"]?)(?!-)([^\s'\"]++)")
_NAMED: Final = re.compile(
    r"(?<![\w.-])((?:(?i:api|access|secret|private|account|signing|encryption) (?=[Kk]ey))?[\w.-]++)"
    r"\\*+[\"']?\]?[ \t]*+(?:(?:=>|:=|={2,3})(?=[ \t\"'])|[:=])[ \t]*+"
)
_OPENING: Final = re.compile(r"(\\*+)([\"'])")
_BARE: Final = re.compile(r"(?:[^\s,;&\"']|[,;&](?!\s|[\w.%-]++[=:]|\Z))++")
_AUTHORIZATION: Final = re.compile(r"(?i)(?:bearer|basic|token|negotiate|digest|apikey)[ \t]++(?=\S)")
_BLOCK: Final = re.compile(r"[|>][+-]?\d?[ \t]*+\n(?:[ \t]++[^\n]*+(?:\n|\Z)|\n)*+")
_BRACKET: Final = re.compile(r"[{}\[\]]")
_LISTED: Final = re.compile(r"[{\[][\s\\\"']")
_SECRET: Final = re.compile(r"kind[\\\"']{0,16}[ \t]{0,8}:[ \t]{0,8}[\\\"']{0,16}(?:Secret|SecretList)\b")
_DATA: Final = re.compile(
    r"(?:^([ \t]*+)|[\"'])(?:data|stringData)[\\\"']*+[ \t]*+:[ \t]*+(?:\{(?!\*)|\n(?=\1[ \t])(?![ \t]*\*))",
    re.MULTILINE,
)
_COOKIES: Final = re.compile(r"(?i)(?:set-)?cookies?")
_LINE: Final = re.compile(r"[^\n\"']++")
_SAID: Final = re.compile(
    r"true|false|null|none|nil|undefined|empty|missing|expired|invalid|unset|not|is|was|are|has|required|yes|no|the|an?|<nil|[{]|[\[]|"
)
"""Words that stand behind a secret's name in a sentence; none is a secret."""
_CODED: Final = re.compile(r"\d|[a-z][A-Z]|[=+/_~]")


def without_secrets(text: str) -> str:
    """Return a plain text without secrets."""
    if "ecret" in text and _SECRET.search(text):
        text = "".join(_manifests(text))
    text = FORMS.sub(HIDDEN, text)
    if "://" in text:
        text = _URL.sub(_userinfo, text)
    if "@" in text:
        text = _TCP.sub(rf"\g<1>{HIDDEN}\g<2>", text)
    text = "".join(_named(text)) if ":" in text or "=" in text else text
    text = _SCHEME.sub(_credential, text)
    if "-" in text:
        text = _FLAG.sub(_flag, _CURL.sub(rf"\g<1>\g<2>{HIDDEN}", text))
    return _RUN.sub(_noise, text)


def _userinfo(found: re.Match[str]) -> str:
    """Hide a URL's password, and a user that is a token itself; `ssh://git@host` and `http://host:8080/a@b` keep theirs."""
    scheme, user, password = found.groups()
    if password:
        return f"{scheme}{user}:{HIDDEN}@"
    looks_coded = len(user) > 11 and any(map(str.isdigit, user))  # noqa: PLR2004  (no user's name: a token)
    return f"{scheme}{HIDDEN}@" if looks_coded else found.group()


def _credential(found: re.Match[str]) -> str:
    """Hide what follows the name of a scheme, unless it is a word: `basic authentication`, `bearer certificates`."""
    scheme, space, what = found.groups()
    return f"{scheme}{space}{HIDDEN}" if _CODED.search(what) or len(what) > 23 else found.group()  # noqa: PLR2004  (no word is so long)


def _flag(found: re.Match[str]) -> str:
    """Hide what follows a flag that is named after a secret."""
    name, space, value = found.groups()
    return f"--{name}{space}{HIDDEN}" if is_secret_name(name) and not _is_said(name, value) else found.group()


def _noise(found: re.Match[str]) -> str:
    """Hide a run that mixes letters and digits as random bytes do, and has too few slashes for a path."""
    run = found.group()
    mixed = all(any(map(test, run)) for test in (str.isupper, str.islower, str.isdigit))
    return HIDDEN if mixed and run.count("/") * 16 < len(run) else run


def _named(text: str) -> Iterator[str]:
    """Give the text in pieces, with what stands behind secrets' names hidden."""
    at, done = 0, 0
    while (named := _NAMED.search(text, at)) is not None:
        at = named.end()
        if is_secret_name(named[1]):
            yield text[done:at]
            done, said = _value(text, at, named[1])
            at = done
            yield said
    yield text[done:]


def _value(text: str, at: int, name: str) -> tuple[int, str]:
    """Return where the value that begins at a place ends, and what to write in its stead."""
    if scheme := _AUTHORIZATION.match(text, at):
        end, said = _value(text, scheme.end(), name)
        return end, scheme.group() + said
    if block := _BLOCK.match(text, at):
        return block.end(), HIDDEN + "\n"
    if opening := _OPENING.match(text, at):
        return _quoted(text, opening)
    if _LISTED.match(text, at):
        return _bracketed(text, at), HIDDEN
    bare = (_LINE if _COOKIES.fullmatch(name) else _BARE).match(text, at)
    if bare is None or _is_said(name, bare.group()):
        return (bare.end(), bare.group()) if bare else (at, "")
    return bare.end(), HIDDEN


def _is_said(name: str, value: str) -> bool:
    """Tell whether a value is a word of a sentence, or a number of secrets."""
    return _SAID.fullmatch(value.rstrip(".,;:!)}]>").lower()) is not None or (value.rstrip(",;.)}]").isdecimal() and is_many(name))


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
        yield f"{HIDDEN}}}" if block.group().endswith("{") else f"{block[1]}  {HIDDEN}\n"
    yield text[at:]


def _indented(text: str, block: re.Match[str]) -> int:
    """Return where the lines end that are indented deeper than the one before."""
    return re.compile(rf"(?:{block[1]}[ \t][^\n]*+(?:\n|\Z)|[ \t]*+\n)*+").match(text, block.end()).end()  # type: ignore[union-attr]

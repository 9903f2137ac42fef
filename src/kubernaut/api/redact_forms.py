"""Secrets that tell themselves by their form: keys of providers, URLs, command lines, hashes, base 64. Used by `redact`; pure.

Every rule goes over a text once: its length costs what it costs, whatever stands in it.
"""

import re
from base64 import b64decode
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
    _B + r"s\.[A-Za-z0-9]{24}(?![\w.-])",
    r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9/_-]++",
    r"(?<=discord\.com/api/webhooks/)[A-Za-z0-9/_-]++",
    r"(?<=\.webhook\.office\.com/webhookb2/)[A-Za-z0-9@/_-]++",
    r"(?<=api\.telegram\.org/bot)\d{1,20}:[A-Za-z0-9_-]{20,}+",
    r"(?<![\w$])\$(?:2[abxy]?|[1567y]|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]{0,16})\$[^\s:\"',;\\]{16,}+",
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
_COMMANDS: Final = (
    re.compile(r"(?<![\w-])(sshpass[ \t]++-p[ \t]*+['\"]?)[^\s'\"]++"),
    re.compile(r"(?<![\w-])((?:mysql|mariadb)(?:dump|admin|-dump|-admin)?[ \t][^\n|;&]{0,256}?(?<=[ \t])-p['\"]?)[^\s'\"]++"),
    re.compile(r"(?<![\w-])(redis-cli[ \t][^\n|;&]{0,256}?(?<=[ \t])-a[ \t]++['\"]?)[^\s'\"]++"),
    re.compile(r"(?<![\w-])(--from-literal(?:=|[ \t]++)['\"]?[\w.-]++=)[^\s'\"]++"),
    re.compile(r"(jdbc:oracle:\w{1,16}:[^\s/@:\"']{1,64}/)[^\s@\"']{1,128}(?=@)"),
    re.compile(r"([?&](?:X-Amz-Signature|[Ss]ignature|sig|code|hmac)=)[^\s&#\"'<>]{8,}+"),
)
"""Where a command line or a query has a secret without its name; what the group has stays."""
_ELEMENT: Final = re.compile(r"<([\w:.-]{1,64})(?:[ \t][^<>]{0,256})?>([^<>]++)(?=</)")
_PROSE: Final = re.compile(
    r"(?i)(?<![\w-])((?:pass(?:word|wd|phrase|code)|token)[ \t]++(?:(?:is|was|of|:)[ \t]++)?['\"]?)([^\s'\",;]{8,}+)"
)
CODE: Final = re.compile(r"(?<![A-Za-z0-9+/=_.-])[A-Za-z0-9+/]{16,}+={0,2}(?![A-Za-z0-9+/=_-])")
"""What may be a text in base 64."""
_FLAG: Final = re.compile(
    r"(?<![\w-])--([A-Za-z][\w.-]*+)([ \t]++['\"]?|[\"']?,\s{0,64}+[\"']|[\"']?\n[ \t]{0,64}+- [\"']?)(?!-)([^\s'\"]++)"
)
"""A flag and its value, on a command line, in a list of JSON or of YAML."""
_SAID: Final = re.compile(
    r"true|false|null|none|nil|undefined|empty|missing|expired|invalid|unset|not|is|was|are|has|required|yes|no|the|an?|<nil|[{]|[\[]|"
    r"failed|failure|denied|rejected|unauthorized|forbidden|unknown|wrong|bad|incorrect|unable|could|cannot|can't|must|should|continue|"
    r"error|please|bearer|basic|string|str|int|optional|enter|or|and|for|from|in|of|to|with|this|that|it|its|their|none|disabled|enabled|serviceaccounts"
)
"""Words that stand behind a secret's name in a sentence; none is a secret."""
_CODED: Final = re.compile(r"\d|[a-z][A-Z]|[=+/_~]")


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
    return f"--{name}{space}{HIDDEN}" if is_secret_name(name) and not is_said(name, value) else found.group()


def _noise(found: re.Match[str]) -> str:
    """Hide a run that mixes letters and digits as random bytes do, and has too few slashes for a path."""
    run = found.group()
    mixed = all(any(map(test, run)) for test in (str.isupper, str.islower, str.isdigit))
    return HIDDEN if mixed and run.count("/") * 16 < len(run) else run


def _prose(found: re.Match[str]) -> str:
    """Hide what follows the word in a sentence, if it looks drawn by lot: letters and digits, and no object's name, path or version."""
    said, what = found.groups()
    bare = what.rstrip(".,;:!)")
    drawn = any(map(str.isdigit, bare)) and any(map(str.isupper, bare)) and any(map(str.islower, bare)) and "/" not in bare
    return f"{said}{HIDDEN}" if drawn else found.group()


def _element(found: re.Match[str]) -> str:
    """Hide what an element of XML holds that is named after a secret."""
    if not is_secret_name(found[1]) or is_said(found[1], found[2].strip()):
        return found.group()
    return f"{found.group()[: found.start(2) - found.start()]}{HIDDEN}"


def coded(text: str) -> str:
    """Return what a text in base 64 says; empty where it says nothing that people could read."""
    try:
        said = b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except ValueError:
        return ""
    return said if all(each.isprintable() or each in "\n\t\r" for each in said) else ""


def is_said(name: str, value: str) -> bool:
    """Tell whether a value is a word of a sentence, or a number of secrets."""
    bare = value.rstrip("`.,;:!)}]>")
    if bare.isalpha() and bare.islower() and name.lower().endswith("authorization"):
        return True  # "may require authorization: authorization failed"; a credential there has its scheme before it
    return _SAID.fullmatch(bare.lower()) is not None or (value.rstrip(",;.)}]").isdecimal() and is_many(name))


def without_forms(text: str) -> str:
    """Return a text without what has the form of a secret."""
    text = FORMS.sub(HIDDEN, text)
    if "://" in text:
        text = _URL.sub(_userinfo, text)
    if "@" in text:
        text = _TCP.sub(rf"\g<1>{HIDDEN}\g<2>", text)
    if "<" in text:
        text = _ELEMENT.sub(_element, text)
    return text


def without_commands(text: str) -> str:
    """Return a text without what stands at a secret's place in a sentence or a command line."""
    text = _PROSE.sub(_prose, _SCHEME.sub(_credential, text))
    if "-" in text:
        text = _FLAG.sub(_flag, _CURL.sub(rf"\g<1>\g<2>{HIDDEN}", text))
    for command in _COMMANDS:
        text = command.sub(rf"\g<1>{HIDDEN}", text)
    return _RUN.sub(_noise, text)

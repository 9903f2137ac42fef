"""Regular expressions as Go and kube-apiserver read them (RE2): linear in time whatever the pattern, so no pattern can stop the server.

RE2 comes with the CEL library; there it is reached through expressions.
"""

import re
from functools import cache, lru_cache
from typing import Any

from cel_expr_python import cel

_ENVIRONMENT = "name: regular\nextensions:\n  - name: regex\n  - name: optional\n"
_FOUND, _FIRST, _ALL = "text.matches(pattern)", "regex.extract(text, pattern).orValue('')", "regex.extractAll(text, pattern)"
# a group that captures: an opening parenthesis that is neither escaped, nor in a class, nor followed by a question mark
_GROUP = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\((\?P?<\w+>)?(?!\?)", re.DOTALL)
_PATTERNS_KEPT = 512


class PatternError(ValueError):
    """The text is no regular expression; says why."""


@cache
def _program(expression: str) -> cel.Expression:
    env = cel.NewEnv(config=cel.NewEnvConfigFromYaml(_ENVIRONMENT), variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING})
    return env.compile(expression)


def _value(expression: str, text: str, pattern: str) -> Any:
    value = _program(expression).eval(data={"text": text, "pattern": pattern})
    if value.type().name() == "ERROR":
        raise PatternError(str(value.value()).removeprefix("INVALID_ARGUMENT: "))
    return value.plain_value()


def found(pattern: str, text: str) -> bool:
    """Say whether a pattern is found anywhere in a text; raise PatternError."""
    return bool(_value(_FOUND, text, pattern))


def first(pattern: str, text: str) -> str:
    """Return the first match, empty where there is none; raise PatternError."""
    return str(_value(_FIRST, text, _without_groups(pattern)))


def every(pattern: str, text: str) -> list[str]:
    """Return all matches in their order; raise PatternError."""
    return [str(match) for match in _value(_ALL, text, _without_groups(pattern))]


@lru_cache(maxsize=_PATTERNS_KEPT)
def check(pattern: str) -> None:
    """Raise PatternError for what is no pattern."""
    found(pattern, "")


@lru_cache(maxsize=_PATTERNS_KEPT)
def _without_groups(pattern: str) -> str:
    """Make groups capture nothing: with one that does, the library would return the group instead of the match."""
    return _GROUP.sub(lambda match: match[1] or "(?:", pattern)

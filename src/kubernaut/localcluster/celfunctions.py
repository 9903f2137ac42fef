"""The functions that Kubernetes adds to CEL, as tables: lists, regex, URLs and sets here, quantities, versions, networks, formats and the
authorizer in modules of their own.

What has no CEL type of its own (quantities, URLs, addresses, formats, the steps of the authorizer) is a map with one marking member in
canonical form, so that `==` compares it rightly.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from cel_expr_python import cel

from kubernaut.localcluster import celauthorizer, celformats, celnetwork, celnumbers, regular
from kubernaut.localcluster.celmarks import BOOL, DYN, INT, LIST, MAP, STRING, Row, marked, succeeds

_URL = "k8s:url"


def _make_url(text: str) -> dict[str, str]:
    parts = urlsplit(text)
    if not (parts.scheme and parts.netloc) and not text.startswith("/"):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {_URL: text}


def _url_part(take: Callable[[SplitResult], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda value: take(urlsplit(marked(_URL, value)))


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _port(parts: SplitResult) -> str:
    return "" if parts.port is None else str(parts.port)


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = regular.every(pattern, text)
    return found if limit < 0 else found[:limit]


def _is_sorted(items: list[Any]) -> bool:
    return all(not right < left for left, right in pairwise(items))


def _extreme(pick: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any]], Any]:
    def function(items: list[Any]) -> Any:
        if not items:
            raise ValueError(f"{name} called on empty list")
        return pick(items)

    return function


def _index_of(items: list[Any], wanted: Any) -> int:
    return items.index(wanted) if wanted in items else -1


def _last_index_of(items: list[Any], wanted: Any) -> int:
    return len(items) - 1 - items[::-1].index(wanted) if wanted in items else -1


def _contains_all(left: list[Any], right: list[Any]) -> bool:
    return all(item in left for item in right)


FUNCTIONS: Sequence[Row] = (
    ("isSorted", True, (LIST,), BOOL, _is_sorted),
    ("sum", True, (LIST,), DYN, sum),
    ("min", True, (LIST,), DYN, _extreme(min, "min")),
    ("max", True, (LIST,), DYN, _extreme(max, "max")),
    ("indexOf", True, (LIST, DYN), INT, _index_of),
    ("lastIndexOf", True, (LIST, DYN), INT, _last_index_of),
    ("find", True, (STRING, STRING), STRING, lambda text, pattern: regular.first(pattern, text)),
    ("findAll", True, (STRING, STRING), LIST, _find_all),
    ("findAll", True, (STRING, STRING, INT), LIST, _find_all),
    ("sets.contains", False, (LIST, LIST), BOOL, _contains_all),
    ("sets.equivalent", False, (LIST, LIST), BOOL, lambda left, right: _contains_all(left, right) and _contains_all(right, left)),
    ("sets.intersects", False, (LIST, LIST), BOOL, lambda left, right: any(item in left for item in right)),
    ("url", False, (STRING,), MAP, _make_url),
    ("isURL", False, (STRING,), BOOL, succeeds(_make_url)),
    ("getScheme", True, (MAP,), STRING, _url_part(lambda parts: parts.scheme)),
    ("getHost", True, (MAP,), STRING, _url_part(_host)),
    ("getHostname", True, (MAP,), STRING, _url_part(lambda parts: parts.hostname or "")),
    ("getPort", True, (MAP,), STRING, _url_part(_port)),
    ("getEscapedPath", True, (MAP,), STRING, _url_part(lambda parts: parts.path)),
    ("getQuery", True, (MAP,), MAP, _url_part(lambda parts: parse_qs(parts.query, keep_blank_values=True))),
)

_TABLES = (*FUNCTIONS, *celnumbers.FUNCTIONS, *celnetwork.FUNCTIONS, *celformats.FUNCTIONS, *celauthorizer.FUNCTIONS)


@cache
def kubernetes_functions() -> cel.CelExtension:
    """Return the tables as an extension of the CEL library."""
    by_name: dict[str, list[cel.Overload]] = {}
    for number, (name, member, parameters, result, function) in enumerate(_TABLES):
        overload = cel.Overload(f"k8s_{number}", result, list(parameters), member, function)
        by_name.setdefault(name, []).append(overload)
    return cel.CelExtension("kubernetes", [cel.FunctionDecl(name, overloads) for name, overloads in by_name.items()])

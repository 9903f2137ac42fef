"""An OpenAPI document against the running service: what it allows is sent, and what it does not, and every answer is checked against it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Err

EXAMPLES = 25


def tried(url: str, *, without: Mapping[str, Sequence[Callable[..., Any]]] = {}, examples: int = EXAMPLES) -> Counter[tuple[str, int]]:
    """Try every operation; return how often each path gave each status. `without` names checks that do not hold, by `METHOD path`."""
    search = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    sent: Counter[tuple[str, int]] = Counter()
    for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
        assert not isinstance(found, Err), found.err()
        operation = found.ok()
        for mode in GenerationMode if _takes_something(operation) else (GenerationMode.POSITIVE,):
            _search(operation, mode, search, without, sent)
    return sent


def _takes_something(operation):
    return bool({"parameters", "requestBody"} & operation.definition.raw.keys())


def _search(operation, mode, search, without, sent):
    @search
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        answer = case.call_and_validate(excluded_checks=list(without.get(f"{case.method} {case.path}", ())))
        sent[case.path, answer.status_code] += 1

    check()

"""CEL's `authorizer`: questions whether the caller, or a service account, may do something.

A question is built step by step, each a marked map; `check` asks whom `asking` named for the time of an evaluation.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kubernaut.localcluster.celmarks import BOOL, MAP, STRING, Row

_WHO, _WHAT, _ANSWER = "k8s:authorizer", "k8s:check", "k8s:decision"

Obj = dict[str, Any]
Decide = Callable[[Obj, Obj], tuple[bool, str]]
"""Says whether a user (name, uid, groups) may do something (verb, group, resource, ..., or verb and path), and why."""

_decide: ContextVar[Decide] = ContextVar("decide")


@contextmanager
def asking(decide: Decide) -> Iterator[None]:
    """Answer the questions of the evaluations within by `decide`."""
    token = _decide.set(decide)
    try:
        yield
    finally:
        _decide.reset(token)


def authorizer(user: Obj, resource: Obj) -> Obj:
    """Return the value of `authorizer` for a caller and the resource of the request."""
    return {_WHO: user, "requestResource": {_WHAT: {"user": user, **resource}}}


def _part(value: Obj, mark: str) -> Obj:
    if not isinstance(value, dict) or mark not in value:
        raise ValueError("no such overload")
    found: Obj = value[mark]
    return found


def _ask(**words: Any) -> Callable[..., Obj]:
    """Make the step from the authorizer to a question; the argument takes the place of None."""
    return lambda value, text: {_WHAT: {"user": _part(value, _WHO), **{key: text if word is None else word for key, word in words.items()}}}


def _narrow(field: str) -> Callable[[Obj, str], Obj]:
    return lambda value, text: {_WHAT: {**_part(value, _WHAT), field: text}}


def _service_account(value: Obj, namespace: str, name: str) -> Obj:
    _part(value, _WHO)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    return {_WHO: {"username": f"system:serviceaccount:{namespace}:{name}", "groups": groups}}


def _check(value: Obj, verb: str) -> Obj:
    question = _part(value, _WHAT)
    wanted = {key: text for key, text in question.items() if key != "user"}
    allowed, reason = _decide.get()(question["user"], {**wanted, "verb": verb})
    return {_ANSWER: {"allowed": allowed, "reason": reason}}


FUNCTIONS: Sequence[Row] = (
    ("path", True, (MAP, STRING), MAP, _ask(path=None)),
    ("group", True, (MAP, STRING), MAP, _ask(group=None)),
    ("serviceAccount", True, (MAP, STRING, STRING), MAP, _service_account),
    *((field, True, (MAP, STRING), MAP, _narrow(field)) for field in ("resource", "subresource", "namespace", "name")),
    *((field, True, (MAP, STRING), MAP, _narrow(field)) for field in ("fieldSelector", "labelSelector")),
    ("check", True, (MAP, STRING), MAP, _check),
    ("allowed", True, (MAP,), BOOL, lambda value: _part(value, _ANSWER)["allowed"]),
    ("reason", True, (MAP,), STRING, lambda value: _part(value, _ANSWER)["reason"]),
    ("errored", True, (MAP,), BOOL, lambda value: "allowed" not in _part(value, _ANSWER)),
    ("error", True, (MAP,), STRING, lambda value: _part(value, _ANSWER).get("error", "")),
)

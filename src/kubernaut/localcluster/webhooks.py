"""Mutating and validating webhooks: which are asked about a write, and what their answers do to it.

A write of the registry never waits. One that a webhook has a say in stops with `Pending` before anything is stored; the questions go
out, and the write runs again with the answers, until none is missing. Answers hold for the revision they were given on.
"""

import asyncio
import base64
import binascii
import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import orjson

from kubernaut.localcluster import errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.attempts import Attempt, Judge
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.patch import PatchError, json_patch
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.store import Record
from kubernaut.localcluster.webhookcalls import CallFailedError, Place, WebhookClient

_GROUP = "admissionregistration.k8s.io"
_MUTATING, _VALIDATING = builtin(_GROUP, "mutatingwebhookconfigurations"), builtin(_GROUP, "validatingwebhookconfigurations")
_SERVICES, _ENDPOINTS = builtin("", "services"), builtin("", "endpoints")
_ROUNDS = 64
_LEAST_REFUSAL = 400
_HTTPS = 443

B = TypeVar("B")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Hook:
    """One webhook of a configuration; `id` changes with the configuration."""

    id: str
    row: Obj

    @property
    def name(self) -> str:
        return str(self.row["name"])

    @property
    def strict(self) -> bool:
        return bool(self.row.get("failurePolicy", "Fail") == "Fail")


@dataclass(frozen=True, slots=True)
class _Question:
    """What a webhook is to be asked, and under which key the answer is kept."""

    key: str
    hook: _Hook
    request: Obj


class _Pending(Exception):  # noqa: N818 - no fault: a write that waits for answers
    """A write cannot go on before these questions are answered."""

    def __init__(self, questions: Iterable[_Question]) -> None:
        super().__init__()
        self.questions = tuple(questions)


class Webhooks:
    """The gate that asks webhooks."""

    def __init__(self, registry: Registry, judge: Judge) -> None:
        """Read configurations from a registry."""
        self._registry = registry
        self._judge = judge
        self._client = WebhookClient(self._locate)
        self._known: dict[str, list[_Hook]] | None = None
        registry.written.append(self._forget)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    def _forget(self, kind: ResourceKind, _record: Record) -> None:
        if kind.group == _GROUP:
            self._known = None

    def _hooks(self, kind: ResourceKind) -> list[_Hook]:
        if self._known is None:
            self._known = {row.resource: list(self._read(row)) for row in (_MUTATING, _VALIDATING)}
        return self._known[kind.resource]

    def _read(self, kind: ResourceKind) -> Iterator[_Hook]:
        for record in self._registry.all_of(kind):
            for index, row in enumerate(record.obj.get("webhooks") or ()):
                yield _Hook(f"{kind.plural}/{record.key[1]}/{record.revision}/{index}", row)

    async def carry_out(self, call: Call, body: B, write: Callable[[Call, B], R]) -> R:
        """Write, asking webhooks as often as the write stops for them; raise ApiError as the write does, or as a webhook says."""
        if not self._hooks(_MUTATING) and not self._hooks(_VALIDATING):
            return write(call, body)
        answers: dict[str, Obj] = {}
        for _ in range(_ROUNDS):
            attempt = replace(call, answers=answers, warnings=[])
            try:
                written = write(attempt, copy.deepcopy(body))
            except _Pending as pending:
                answers |= await self._ask_all(pending.questions)
            else:
                call.warnings.extend(attempt.warnings)
                return written
        raise errors.ApiError(409, "Conflict", "the object kept changing while admission webhooks were asked; please try again")

    async def _ask_all(self, questions: Iterable[_Question]) -> dict[str, Obj]:
        asked = list(questions)
        found = await asyncio.gather(*(self._ask(row) for row in asked))
        return {row.key: answer for row, answer in zip(asked, found, strict=True)}

    async def _ask(self, question: _Question) -> Obj:
        try:
            return await self._client.ask(question.hook.row, question.request)
        except CallFailedError as error:
            return {"failed": str(error)}

    def amend(self, kind: ResourceKind, operation: str, new: Obj, old: Obj | None, call: Call, subresource: str) -> Obj | None:
        """Return what mutating webhooks make of an object, None where they change nothing; raise ApiError where one refuses."""
        if call.answers is None or kind.group == _GROUP:
            return None
        _keep_name(new, call.answers)
        attempt = Attempt(kind, operation, new, old, call, subresource)
        hooks = self._hooks(_MUTATING)
        now, again = self._passed(hooks, attempt, 0)
        if again:
            now, _ = self._passed([hook for hook in hooks if hook.id in again], replace(attempt, new=now), 1)
        return None if now is new else now

    def _passed(self, hooks: Iterable[_Hook], attempt: Attempt, turn: int) -> tuple[Obj | None, set[str]]:
        """Return what webhooks make of an object one after the other, and those to ask again, as a later one changed what they saw."""
        now, before, again = attempt.new, set[str](), set[str]()
        for hook in hooks:
            made = self._made(hook, replace(attempt, new=now), turn)
            if made is not now:
                again, before = again | before, set()
            if hook.row.get("reinvocationPolicy") == "IfNeeded":
                before.add(hook.id)
            now = made
        return now, again

    def _made(self, hook: _Hook, attempt: Attempt, turn: int) -> Obj | None:
        """Return what a webhook makes of an object: the same one where it is not asked, changes nothing or fails without consequence."""
        now, answers = attempt.new, attempt.call.answers
        if now is None or answers is None or (seen := self._seen_as(hook, attempt)) is None:
            return now
        question = self._question(hook, seen, turn)
        if question.key not in answers:
            raise _Pending([question])
        answer = _judged(hook, attempt, answers[question.key])
        return _patched(hook, now, answer) if answer else now

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        """Change nothing: what webhooks change they change in `amend`."""

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:
        """Refuse a write that a webhook denies, with ApiError."""
        if call.answers is None or kind.group == _GROUP:
            return
        attempt = Attempt(kind, operation, new, old, call, subresource)
        hooks = [*(self._hooks(_MUTATING) if operation == "DELETE" else ()), *self._hooks(_VALIDATING)]
        asked = [(hook, seen) for hook in hooks if (seen := self._seen_as(hook, attempt))]
        questions = [self._question(hook, seen) for hook, seen in asked]
        if missing := [row for row in questions if row.key not in call.answers]:
            raise _Pending(missing)
        for row in questions:
            _judged(row.hook, attempt, call.answers[row.key])

    def _seen_as(self, hook: _Hook, attempt: Attempt) -> Attempt | None:
        """Return a write as a webhook is to see it, None where it does not concern it; raise ApiError where that cannot be told."""
        row = hook.row
        seen = self._judge.concerned({**row, "resourceRules": row.get("rules")}, attempt)
        if seen is None or not row.get("matchConditions"):
            return seen
        held, why = self._judge.conditions(row["matchConditions"], self._judge.bindings(seen))
        if why and hook.strict:
            raise errors.forbidden(attempt.kind, attempt.meta.get("name", ""), why)
        return seen if held else None

    def _question(self, hook: _Hook, attempt: Attempt, turn: int = 0) -> _Question:
        kind, meta = attempt.kind, attempt.meta
        revision = (attempt.old or {}).get("metadata", {}).get("resourceVersion", "")
        what = (kind.resource, meta.get("namespace", ""), meta.get("name", ""), attempt.subresource, attempt.operation, revision, str(turn))
        new, old = attempt.objects()
        request = {"uid": self._registry.sources.uid(), **attempt.request(), "object": new, "oldObject": old}
        return _Question("|".join((hook.id, *what)), hook, request)

    def _locate(self, service: Obj) -> Place:
        """Find the address behind a service."""
        namespace, name, port = service["namespace"], service["name"], service.get("port") or _HTTPS
        host, path = f"{name}.{namespace}.svc", "/" + str(service.get("path") or "").lstrip("/")
        shown = f"https://{host}:{port}{path}"
        record = self._registry.find(_SERVICES, namespace, name)
        if record is None:
            return Place(shown, fault=f'service "{name}" not found')
        spec = record.obj["spec"]
        address = f"{spec['externalName']}:{port}" if spec.get("type") == "ExternalName" else self._address(record.obj, port)
        if address is None:
            return Place(shown, fault=f'no endpoints available for service "{name}"')
        return Place(f"https://{address}{path}", host, shown)

    def _address(self, service: Obj, port: int) -> str | None:
        meta = service["metadata"]
        record = self._registry.find(_ENDPOINTS, meta["namespace"], meta["name"])
        named = next((row.get("name", "") for row in service["spec"].get("ports") or () if row["port"] == port), None)
        for subset in (record.obj.get("subsets") or ()) if record and named is not None else ():
            target = next((row["port"] for row in subset.get("ports") or () if row.get("name", "") == named), None)
            if target and subset.get("addresses"):
                return f"{subset['addresses'][0]['ip']}:{target}"
        return None


def _keep_name(new: Obj, answers: dict[str, Obj]) -> None:
    """Give an object the generated name that webhooks were told of when the write runs again."""
    meta = new["metadata"]
    if prefix := meta.get("generateName"):
        meta["name"] = answers.setdefault(f"name of {prefix}", {"name": meta["name"]})["name"]


def _failed(hook: _Hook, why: str) -> errors.ApiError:
    return errors.internal_error(f'failed calling webhook "{hook.name}": {why}')


def _judged(hook: _Hook, attempt: Attempt, answer: Obj) -> Obj | None:
    """Return an answer that allows a write, None for a failure that does not matter; raise ApiError for all others."""
    if "failed" in answer:
        if hook.strict:
            raise _failed(hook, answer["failed"])
        return None
    attempt.call.warnings.extend(str(text) for text in answer.get("warnings") or ())
    if not answer.get("allowed"):
        raise _denied(hook, answer.get("status") or {})
    return answer


def _denied(hook: _Hook, status: Obj) -> errors.ApiError:
    told, why = f'admission webhook "{hook.name}" denied the request', status.get("message") or status.get("reason")
    code = max(int(status.get("code") or 0), _LEAST_REFUSAL)
    text = f"{told}: {why}" if why else f"{told} without explanation"
    return errors.ApiError(code, str(status.get("reason") or ""), text, status.get("details"))


def _patched(hook: _Hook, obj: Obj, answer: Obj) -> Obj:
    """Apply the JSON patch of an answer."""
    if not answer.get("patch"):
        return obj
    try:
        operations = orjson.loads(base64.b64decode(answer["patch"]))
        return json_patch(obj, operations)
    except (PatchError, ValueError, binascii.Error) as error:
        raise _failed(hook, f"received invalid webhook response: {error}") from error

"""ValidatingAdmissionPolicies: rules in CEL that refuse writes, with the words and codes of kube-apiserver.

Audit annotations are evaluated and kept nowhere, as there is no audit log.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubernaut.localcluster import cel, errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.attempts import Attempt, Judge
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.selectors import label_selector_of
from kubernaut.localcluster.store import Record

_GROUP = "admissionregistration.k8s.io"
POLICIES, BINDINGS = builtin(_GROUP, "validatingadmissionpolicies"), builtin(_GROUP, "validatingadmissionpolicybindings")
_EXEMPT = frozenset({POLICIES.resource, BINDINGS.resource})
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
_MISSING = re.compile(r"no such key: (\w+)$")


@dataclass(frozen=True, slots=True)
class _Finding:
    """A rule that does not hold, or could not be evaluated."""

    message: str
    reason: str = ""


class _UnusableError(Exception):
    """A policy or binding names parameters that cannot be had."""


class Policies:
    """The gate that evaluates the policies bound at the time of a write."""

    def __init__(self, registry: Registry, judge: Judge) -> None:
        """Read policies, bindings and parameters from a registry."""
        self._registry = registry
        self._judge = judge
        self._bound: list[tuple[Obj, Obj]] | None = None
        self._relevant: dict[tuple[str, str, str], list[tuple[Obj, Obj]]] = {}
        self._seen = 0
        registry.written.append(self._forget)

    def _forget(self, kind: ResourceKind, _record: Record) -> None:
        if kind.resource in _EXEMPT:
            self._bound, self._relevant = None, {}

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        """Change nothing."""

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:
        """Refuse a write that a policy denies, with ApiError 422 (or as the rule's reason says); warn where a policy only warns."""
        pairs = self._pairs_about(kind)
        if not pairs or kind.resource in _EXEMPT:
            return
        attempt = Attempt(kind, operation, new, old, call, subresource)
        refusals = [refusal for policy, binding in pairs for refusal in self._refusals(policy, binding, attempt)]
        if refusals:
            raise refusals[0]

    def _pairs_about(self, kind: ResourceKind) -> list[tuple[Obj, Obj]]:
        """Return the policies, each with a binding, that may have a say about a kind; kept until policies or the kinds served change."""
        if self._seen != self._judge.catalog.revision:
            self._seen, self._relevant = self._judge.catalog.revision, {}
        path = (kind.group, kind.version, kind.plural)
        if path not in self._relevant:
            about = (row for row in self._pairs() if self._judge.may_concern(row[0]["spec"].get("matchConstraints") or {}, kind))
            self._relevant[path] = list(about)
        return self._relevant[path]

    def _pairs(self) -> list[tuple[Obj, Obj]]:
        if self._bound is None:
            policies = {record.key[1]: record.obj for record in self._registry.all_of(POLICIES)}
            bindings = [record.obj for record in self._registry.all_of(BINDINGS)]
            self._bound = [(policies[row["spec"]["policyName"]], row) for row in bindings if row["spec"].get("policyName") in policies]
        return self._bound

    def _refusals(self, policy: Obj, binding: Obj, attempt: Attempt) -> Iterator[errors.ApiError]:
        """Yield the refusals of one policy under one binding; warn where it only warns."""
        names = (policy["metadata"]["name"], binding["metadata"]["name"])
        actions = binding["spec"].get("validationActions") or ["Deny"]
        seen = self._judge.concerned(policy["spec"].get("matchConstraints") or {}, attempt)
        narrowed = binding["spec"].get("matchResources")
        if seen is None or (narrowed and self._judge.concerned(narrowed, attempt, without_rules=True) is None):
            return
        for finding in self._findings(policy, binding, seen):
            if "Deny" in actions:
                yield _denied(attempt, names, finding)
            if "Warn" in actions:
                told = f"Validation failed for ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}': {finding.message}"
                attempt.call.warnings.append(told)

    def _findings(self, policy: Obj, binding: Obj, attempt: Attempt) -> Iterator[_Finding]:
        strict = policy["spec"].get("failurePolicy", "Fail") == "Fail"
        try:
            found = self._params(policy, binding, attempt)
        except _UnusableError as error:
            if strict:
                yield _Finding(str(error))
            return
        for params in found:
            yield from self._judged(policy["spec"], attempt, params, strict=strict)

    def _params(self, policy: Obj, binding: Obj, attempt: Attempt) -> list[Obj | None]:
        """Return the parameter objects a binding names, None alone where it has none; raise _UnusableError."""
        wanted, where = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
        if not wanted or not where:
            return [None]
        kind = self._registry.catalog.by_kind(wanted["apiVersion"], wanted["kind"])
        if kind is None:
            named = f"{wanted['apiVersion']}, Kind={wanted['kind']}"
            raise _UnusableError(f"failed to configure policy: failed to find resource referenced by paramKind: '{named}'")
        found = [{**obj, "apiVersion": kind.api_version, "kind": kind.kind} for obj in self._named(kind, where, attempt)]
        if not found and where.get("parameterNotFoundAction", "Deny") == "Deny":
            raise _UnusableError("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction")
        return list(found)

    def _named(self, kind: ResourceKind, where: Obj, attempt: Attempt) -> Iterator[Obj]:
        """Yield the objects of a kind that a reference names or selects."""
        namespace = (where.get("namespace") or attempt.namespace) if kind.namespaced else ""
        if kind.namespaced and not namespace:
            words = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            raise _UnusableError(f"failed to configure binding: {words}")
        if not where.get("name"):
            accepts = label_selector_of(where.get("selector") or {})
            rows = (record.obj for record in self._registry.all_of(kind, namespace))
            yield from (obj for obj in rows if accepts(obj["metadata"].get("labels") or {}))
        elif record := self._registry.find(kind, namespace, where["name"]):
            yield record.obj

    def _judged(self, spec: Obj, attempt: Attempt, params: Obj | None, *, strict: bool) -> Iterator[_Finding]:
        bindings = self._judge.bindings(attempt)
        matched = bindings | ({"params": params} if spec.get("paramKind") else {})
        held, why = self._judge.conditions(spec.get("matchConditions") or (), matched)
        if not held:
            if why and strict:
                yield _Finding(why)
            return
        scope = _Scope(self._judge, {**matched, "namespaceObject": self._judge.home(attempt)}, spec.get("variables") or ())
        for rule in spec.get("validations") or ():
            if finding := scope.judge(rule, strict=strict):
                yield finding
        for row in spec.get("auditAnnotations") or ():
            if strict and (why := scope.annotation_fault(row["valueExpression"])):
                yield _Finding(why)


class _Scope:
    """What the rules of a policy see: the variables of admission, and the policy's own."""

    def __init__(self, judge: Judge, bindings: Mapping[str, Any], variables: Any) -> None:
        """Evaluate the variables in their order; one without a value is left out, so that only a rule that uses it fails."""
        self._judge = judge
        found: dict[str, Any] = {}
        self._broken: dict[str, str] = {}
        self._bindings = {**bindings, "variables": found}
        for row in variables:
            try:
                found[row["name"]] = judge.evaluate(row["expression"], self._bindings)
            except (cel.CelError, cel.EvaluationError) as error:
                self._broken[row["name"]] = self._words(str(error))

    def _words(self, why: str) -> str:
        """Say why an expression has no value: the fault of a variable it uses is told as such."""
        match = _MISSING.search(why)
        if match is None or match[1] not in self._broken:
            return why
        return f'{why[: match.start()]}composited variable "{match[1]}" fails to evaluate: {self._broken[match[1]]}'

    def judge(self, rule: Obj, *, strict: bool) -> _Finding | None:
        """Return what is wrong by a rule, None where it holds."""
        value, why = self._judge.outcome(rule["expression"], self._bindings)
        if why:
            return _Finding(self._words(why)) if strict else None
        if value is True:
            return None
        return _Finding(self._message(rule) or f"failed expression: {rule['expression'].strip()}", rule.get("reason", ""))

    def _message(self, rule: Obj) -> str:
        fallback = str(rule.get("message") or "").strip()
        if not rule.get("messageExpression"):
            return fallback
        told, _ = self._judge.outcome(rule["messageExpression"], self._bindings)
        usable = isinstance(told, str) and told.strip() and "\n" not in told.strip()
        return str(told).strip() if usable else fallback

    def annotation_fault(self, expression: str) -> str:
        """Say why an audit annotation has no value; empty where it has one."""
        value, why = self._judge.outcome(expression, self._bindings)
        if why or value is None or isinstance(value, str):
            return self._words(why)
        return f"valueExpression '{expression}' resulted in unsupported return type. Return type must be either string or null"


def _denied(attempt: Attempt, names: tuple[str, str], finding: _Finding) -> errors.ApiError:
    text = f"ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}' denied request: {finding.message}"
    refusal = errors.forbidden(attempt.kind, attempt.meta.get("name", ""), text)
    reason = finding.reason or "Invalid"
    return errors.ApiError(_CODES.get(reason, 422), reason, refusal.message, {**refusal.details, "causes": [{"message": text}]})

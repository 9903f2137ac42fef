"""ValidatingAdmissionPolicies: rules in CEL that refuse writes, with the words and codes of kube-apiserver."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubernaut.localcluster import cel, errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.matching import matches
from kubernaut.localcluster.registry import NAMESPACES, Registry
from kubernaut.localcluster.reviews import user_info
from kubernaut.localcluster.store import Record

_GROUP = "admissionregistration.k8s.io"
POLICIES, BINDINGS = builtin(_GROUP, "validatingadmissionpolicies"), builtin(_GROUP, "validatingadmissionpolicybindings")
_NAMES = ("namespaceObject", "object", "oldObject", "params", "request", "variables")
_DECLARED = dict.fromkeys(_NAMES, "dyn")
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A write as policies see it."""

    kind: ResourceKind
    operation: str
    new: Obj | None
    old: Obj | None
    call: Call
    subresource: str

    @property
    def meta(self) -> Obj:
        """The metadata of the object, old where there is no new one."""
        found: Obj = (self.new or self.old or {})["metadata"]
        return found

    def request(self) -> Obj:
        """Return the AdmissionRequest of the write."""
        kind, meta = self.kind, self.meta
        what = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        where = {"group": kind.group, "version": kind.version, "resource": kind.plural}
        return {
            "kind": what,
            "resource": where,
            "subResource": self.subresource,
            "requestKind": what,
            "requestResource": where,
            "requestSubResource": self.subresource,
            "name": meta.get("name", ""),
            "namespace": meta.get("namespace", ""),
            "operation": self.operation,
            "userInfo": {"username": "", "uid": "", "groups": [], "extra": {}} | user_info(self.call.user),
            "dryRun": self.call.dry_run,
        }


@dataclass(frozen=True, slots=True)
class _Finding:
    """A rule that does not hold, or could not be evaluated."""

    message: str
    reason: str = ""


class Policies:
    """The gate that evaluates the policies bound at the time of a write."""

    def __init__(self, registry: Registry) -> None:
        """Read policies, bindings and parameters from a registry."""
        self._registry = registry
        self._bound: list[tuple[Obj, Obj]] | None = None
        registry.written.append(self._forget)

    def _forget(self, kind: ResourceKind, _record: Record) -> None:
        if kind.resource in {POLICIES.resource, BINDINGS.resource}:
            self._bound = None

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        """Change nothing."""

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:
        """Refuse a write that a policy denies, with ApiError 422 (or as the rule's reason says); warn where a policy only warns."""
        if kind.group == _GROUP:
            return
        attempt = Attempt(kind, operation, new, old, call, subresource)
        for policy, binding in self._pairs():
            if self._concerns(policy, binding, attempt):
                self._apply(policy, binding, attempt)

    def _pairs(self) -> list[tuple[Obj, Obj]]:
        if self._bound is None:
            policies = {record.key[1]: record.obj for record in self._registry.all_of(POLICIES)}
            bindings = [record.obj for record in self._registry.all_of(BINDINGS)]
            self._bound = [(policies[row["spec"]["policyName"]], row) for row in bindings if row["spec"].get("policyName") in policies]
        return self._bound

    def _concerns(self, policy: Obj, binding: Obj, attempt: Attempt) -> bool:
        home = self._home(attempt)
        constraints, narrowed = policy["spec"].get("matchConstraints") or {}, binding["spec"].get("matchResources")
        if not matches(constraints, attempt.kind, attempt.operation, attempt.subresource, (attempt.new, attempt.old), home):
            return False
        return not narrowed or matches(
            narrowed, attempt.kind, attempt.operation, attempt.subresource, (attempt.new, attempt.old), home, without_rules=True
        )

    def _home(self, attempt: Attempt) -> Obj | None:
        if attempt.kind.resource == NAMESPACES.resource:
            return attempt.new or attempt.old
        record = self._registry.find(NAMESPACES, "", attempt.meta.get("namespace", "")) if attempt.kind.namespaced else None
        return record.obj if record else None

    def _apply(self, policy: Obj, binding: Obj, attempt: Attempt) -> None:
        names = (policy["metadata"]["name"], binding["metadata"]["name"])
        actions = binding["spec"].get("validationActions") or ["Deny"]
        for params in self._params(policy, binding, attempt):
            for finding in self._findings(policy, attempt, params):
                if "Deny" in actions:
                    raise _denied(attempt, names, finding)
                if "Warn" in actions:
                    told = f"Validation failed for ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}': {finding.message}"
                    attempt.call.warnings.append(told)

    def _params(self, policy: Obj, binding: Obj, attempt: Attempt) -> Iterator[Obj | None]:
        """Yield the parameter objects a binding names; None alone where it has none."""
        wanted, where = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
        if not wanted or not where:
            yield None
            return
        kind = self._registry.catalog.by_kind(wanted["apiVersion"], wanted["kind"])
        namespace = where.get("namespace") or attempt.meta.get("namespace", "")
        record = self._registry.find(kind, namespace, where.get("name", "")) if kind else None
        if record:
            yield record.obj
        elif where.get("parameterNotFoundAction", "Deny") == "Deny":
            finding = _Finding("no params found for policy binding with `Deny` parameterNotFoundAction")
            raise _denied(attempt, (policy["metadata"]["name"], binding["metadata"]["name"]), finding)

    def _findings(self, policy: Obj, attempt: Attempt, params: Obj | None) -> Iterator[_Finding]:
        spec = policy["spec"]
        strict = spec.get("failurePolicy", "Fail") == "Fail"
        bindings = self._bindings(attempt, params)
        try:
            if not all(evaluate(row["expression"], bindings) is True for row in spec.get("matchConditions") or []):
                return
        except (cel.CelError, cel.EvaluationError) as error:
            if strict:
                yield _Finding(str(error))
            return
        bindings["variables"] = _variables(spec.get("variables") or [], bindings)
        for rule in spec.get("validations") or []:
            if finding := _judge(rule, bindings, strict=strict):
                yield finding

    def _bindings(self, attempt: Attempt, params: Obj | None) -> dict[str, Any]:
        return {
            "object": attempt.new,
            "oldObject": attempt.old,
            "request": attempt.request(),
            "params": params,
            "namespaceObject": self._home(attempt),
            "variables": {},
        }


def evaluate(expression: str, bindings: Mapping[str, Any]) -> Any:
    """Return the value of an expression over the variables admission knows; raise CelError or EvaluationError."""
    return cel.compile(expression, _DECLARED).evaluate(bindings)


def _variables(rows: list[Obj], bindings: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the variables in their order; one without a value is left out, so that only a rule that uses it fails."""
    found: dict[str, Any] = {}
    for row in rows:
        try:
            found[row["name"]] = evaluate(row["expression"], {**bindings, "variables": found})
        except (cel.CelError, cel.EvaluationError):
            continue
    return found


def _judge(rule: Obj, bindings: Mapping[str, Any], *, strict: bool) -> _Finding | None:
    expression = rule["expression"].strip()
    try:
        if evaluate(rule["expression"], bindings) is True:
            return None
    except cel.CelError as error:
        return _Finding(f"compilation error: {error.text}") if strict else None
    except cel.EvaluationError as error:
        return _Finding(f"expression '{expression}' resulted in error: {error}") if strict else None
    return _Finding(_message(rule, bindings) or f"failed expression: {expression}", rule.get("reason", ""))


def _message(rule: Obj, bindings: Mapping[str, Any]) -> str:
    fallback = str(rule.get("message") or "").strip()
    if not rule.get("messageExpression"):
        return fallback
    try:
        told = evaluate(rule["messageExpression"], bindings)
    except (cel.CelError, cel.EvaluationError):
        return fallback
    usable = isinstance(told, str) and told.strip() and "\n" not in told.strip()
    return str(told).strip() if usable else fallback


def _denied(attempt: Attempt, names: tuple[str, str], finding: _Finding) -> errors.ApiError:
    text = f"ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}' denied request: {finding.message}"
    refusal = errors.forbidden(attempt.kind, attempt.meta.get("name", ""), text)
    reason = finding.reason or "Invalid"
    return errors.ApiError(_CODES.get(reason, 422), reason, refusal.message, {**refusal.details, "causes": [{"message": text}]})

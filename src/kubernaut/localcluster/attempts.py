"""A write as admission sees it: policies and webhooks judge the same thing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubernaut.localcluster import cel, celauthorizer
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call, User
from kubernaut.localcluster.catalog import Catalog
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.matching import matches, names_kind
from kubernaut.localcluster.rbac import Attributes, Authorizer
from kubernaut.localcluster.registry import NAMESPACES, Registry
from kubernaut.localcluster.reviews import user_info

_ASKED = ("verb", "group", "resource", "subresource", "name", "namespace", "path")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A write as policies see it."""

    kind: ResourceKind
    operation: str
    new: Obj | None
    old: Obj | None
    call: Call
    subresource: str
    asked: ResourceKind | None = None
    """The kind as the caller named it, where the write is shown in another version or group."""

    @property
    def meta(self) -> Obj:
        """The metadata of the object, old where there is no new one."""
        found: Obj = (self.new or self.old or {})["metadata"]
        return found

    @property
    def namespace(self) -> str:
        """The namespace of the request; that of a Namespace is itself."""
        return str(self.meta.get("name" if self.kind.resource == NAMESPACES.resource else "namespace", ""))

    def shown_as(self, kind: ResourceKind) -> "Attempt":
        """Return the same write in another version or group."""
        return self if kind == self.kind else replace(self, kind=kind, asked=self.kind)

    def objects(self) -> tuple[Obj | None, Obj | None]:
        """Return the new and the old object."""
        return _face(self.kind, self.new), _face(self.kind, self.old)

    def request(self) -> Obj:
        """Return the AdmissionRequest of the write, its empty members left out as kube-apiserver does."""
        kind, asked = self.kind, self.asked or self.kind
        places = {"subResource": self.subresource, "requestSubResource": self.subresource}
        named = {**places, "name": self.meta.get("name", ""), "namespace": self.namespace}
        return {
            "kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
            "resource": {"group": kind.group, "version": kind.version, "resource": kind.plural},
            "requestKind": {"group": asked.group, "version": asked.version, "kind": asked.kind},
            "requestResource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
            **{key: text for key, text in named.items() if text},
            "operation": self.operation,
            "userInfo": user_info(self.call.user),
            "dryRun": self.call.dry_run,
            "options": self._options(),
        }

    def _options(self) -> Obj:
        call = self.call
        options: Obj = {"kind": f"{self.operation.capitalize()}Options", "apiVersion": "meta.k8s.io/v1"}
        if call.dry_run:
            options["dryRun"] = ["All"]
        return options if self.operation == "DELETE" else {**options, "fieldManager": call.manager, "fieldValidation": call.validation}


def _face(kind: ResourceKind, obj: Obj | None) -> Obj | None:
    return None if obj is None else {**obj, "apiVersion": kind.api_version, "kind": kind.kind}


class Judge:
    """Evaluates what rules say about a write."""

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        """Read namespaces from a registry, and answer `authorizer` by an authorizer."""
        self._registry = registry
        self._authorizer = authorizer

    @property
    def catalog(self) -> Catalog:
        """The kinds served."""
        return self._registry.catalog

    def concerned(self, constraints: Obj, attempt: Attempt, *, without_rules: bool = False) -> Attempt | None:
        """Return a write as constraints see it, None where they do not cover it; other versions and groups of a kind count by default."""
        home = self._selected_home(attempt)
        for kind in self._faces(constraints, attempt.kind):
            objects = (attempt.new, attempt.old)
            if matches(constraints, kind, attempt.operation, attempt.subresource, objects, home, without_rules=without_rules):
                return attempt.shown_as(kind)
        return None

    def may_concern(self, constraints: Obj, kind: ResourceKind) -> bool:
        """Say whether some write of a kind may be one that the rules of constraints cover."""
        return any(names_kind(constraints, face) for face in self._faces(constraints, kind))

    def _faces(self, constraints: Obj, kind: ResourceKind) -> Iterator[ResourceKind]:
        yield kind
        if constraints.get("matchPolicy", "Equivalent") == "Equivalent":
            yield from self.catalog.others(kind)

    def _selected_home(self, attempt: Attempt) -> Obj | None:
        """Return the namespace whose labels a selector sees: of a Namespace, itself."""
        if attempt.kind.resource == NAMESPACES.resource:
            return attempt.new or attempt.old
        return self.home(attempt)

    def home(self, attempt: Attempt) -> Obj | None:
        """Return the namespace of a namespaced object."""
        record = self._registry.find(NAMESPACES, "", attempt.namespace) if attempt.kind.namespaced else None
        return _face(NAMESPACES, record.obj) if record else None

    def bindings(self, attempt: Attempt) -> dict[str, Any]:
        """Return the variables that every expression of admission knows."""
        new, old = attempt.objects()
        request = attempt.request()
        where = {"group": attempt.kind.group, "resource": attempt.kind.plural, "subresource": attempt.subresource}
        where |= {"namespace": request.get("namespace", ""), "name": request.get("name", "")}
        asking = celauthorizer.authorizer(request["userInfo"], where)
        return {"object": new, "oldObject": old, "request": request, "authorizer": asking}

    def evaluate(self, expression: str, bindings: Mapping[str, Any]) -> Any:
        """Return the value of an expression; raise CelError or EvaluationError."""
        program = cel.compile(expression, dict.fromkeys(bindings, "dyn"))
        with celauthorizer.asking(self._decide):
            return program.evaluate(bindings)

    def _decide(self, who: Obj, what: Obj) -> tuple[bool, str]:
        user = User(who.get("username", ""), who.get("uid", ""), tuple(who.get("groups") or ()), who.get("extra") or {})
        decision = self._authorizer.decide(Attributes(user, **{key: what[key] for key in _ASKED if key in what}))
        return decision.allowed, decision.reason

    def conditions(self, rows: Sequence[Obj], bindings: Mapping[str, Any]) -> tuple[bool, str]:
        """Say whether all match conditions hold, and what is wrong with those that have no value; one that is false settles it."""
        outcomes = [self.outcome(row["expression"], bindings) for row in rows]
        told = [why for _, why in outcomes if why]
        if any(value is False for value, _ in outcomes) or not told:
            return all(value is True for value, _ in outcomes), ""
        return False, told[0] if len(told) == 1 else f"[{', '.join(told)}]"

    def outcome(self, expression: str, bindings: Mapping[str, Any]) -> tuple[Any, str]:
        """Return an expression's value, or None and why it has none."""
        try:
            return self.evaluate(expression, bindings), ""
        except cel.CelError as error:
            return None, f"compilation error: {error.text}"
        except cel.EvaluationError as error:
            return None, f"expression '{expression.strip()}' resulted in error: {error}"

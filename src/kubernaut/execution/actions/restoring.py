"""Puts one object back as it was before a run from the catalogue changed it: the undo of what no action of ours has journalled."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import JsonValue, StringConstraints, field_validator, model_validator

from kubernaut.api.base import Obj
from kubernaut.api.execution import RESTORABLE, ChangedResource, OperationResult, Undo, UndoKind
from kubernaut.api.keyed import keyed
from kubernaut.execution.actions.base import (
    Access,
    ActionParameters,
    Effect,
    KubernetesName,
    Plan,
    Standard,
    Target,
    on,
    read,
    read_and_patch,
)
from kubernaut.execution.actions.objects import small
from kubernaut.execution.undo import Back, Clash, Restore, mark_of, way_back
from kubernaut.kube.client import Client
from kubernaut.kube.reversal import against

RESTORE: Final = "restore_object"
NOT_OURS: Final = "-"
"""What the run left bears no mark of ours."""
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
TOLD: Final = 5
_KINDS: Final = {kind.kind: kind for kind in RESTORABLE}


class RestoreParameters(ActionParameters):
    """The object, what a run changed of it, and the way back."""

    kind: Annotated[str, StringConstraints(max_length=63)]
    namespace: Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", max_length=63)] = ""
    resource_name: KubernetesName
    uid: Annotated[str, StringConstraints(max_length=128)] = ""
    """Of the object that the run changed; empty: of whichever has the name."""
    before: dict[str, JsonValue]
    """The fields that the run changed, as they were."""
    after: dict[str, JsonValue]
    """The same as the run left them: what is otherwise by now, somebody else has changed."""
    patch: dict[str, JsonValue]
    """Merge patch that puts them back, its lists of named things as maps by name."""
    automatic: bool = False
    """Nobody has asked for it: it is done only where the settings let an undo begin by itself."""
    _small = field_validator("before", "after", "patch")(small)

    @model_validator(mode="after")
    def _fits(self) -> "RestoreParameters":
        kind = _KINDS.get(self.kind)
        if kind is None:
            raise ValueError(f"kind: {self.kind[:63]!r} cannot be put back; what can is {', '.join(sorted(_KINDS))}")
        if kind.namespaced != bool(self.namespace):
            raise ValueError(f"namespace: a {kind.kind} is in {'a namespace' if kind.namespaced else 'no namespace'}")
        if extra := set(self.patch) - {"spec", "data", "binaryData"}:
            raise ValueError(f"patch: only spec and data are put back, not {', '.join(sorted(extra))[:100]}")
        return self


class RestoreObject(Standard[RestoreParameters]):
    """Puts fields of an object back, if nobody else has changed them since; else it shows who stands in the way."""

    name = RESTORE
    parameters = RestoreParameters
    undo = UndoKind.EXACT
    rights = on(*RESTORABLE)

    def target(self, given: RestoreParameters) -> Target:
        """Return the object."""
        return Target(_KINDS[given.kind], given.namespace, given.resource_name)

    def access(self, given: RestoreParameters) -> list[Access]:
        """Read and patch it."""
        return read_and_patch(self.target(given))

    async def plan(self, client: Client, given: RestoreParameters, mark: str) -> Plan:
        """Judge it as every undo is judged: as it was, as the run left it, and as it is now."""
        current = await read(client, self.target(given))
        patch = against(current, {**given.patch})
        if mark_of(current) == mark:
            return Plan(Effect.PATCH, current, patch)
        match _way_back(given, current):
            case Restore(done=True):
                return Plan(Effect.NOTHING, current)
            case Restore():
                return Plan(Effect.PATCH, current, patch)
            case Clash() as clash:
                return Plan(Effect.PATCH, current, patch, faults=tuple(_conflicts(clash)))
            case other:
                return Plan(Effect.PATCH, current, patch, faults=(getattr(other, "why", "it cannot be put back"),))


def _way_back(given: RestoreParameters, current: Obj) -> Back:
    kind = _KINDS[given.kind]
    changed = ChangedResource(
        api_version=kind.api_version,
        kind=kind.kind,
        namespace=given.namespace,
        name=given.resource_name,
        uid=given.uid or current["metadata"]["uid"],
        action=RESTORE,
        before=given.before,
        after=given.after,
    )
    undo = Undo(kind=UndoKind.EXACT, patch=given.patch)
    result = OperationResult(
        step_number=1, action=RESTORE, resources_affected=[changed], undo=undo, started_at=datetime.min.replace(tzinfo=UTC)
    )
    return way_back(result, keyed(current), NOT_OURS)


def _conflicts(clash: Clash) -> list[str]:
    """Say field by field what stands in the way, a sentence each."""
    fields = [
        f"{each.path} was {each.ours or 'absent'} after the run, and is {each.now or 'absent'} now" for each in clash.conflicts[:TOLD]
    ]
    more = [f"and {len(clash.conflicts) - TOLD} more"] if len(clash.conflicts) > TOLD else []
    return [f"{clash.why}: nothing is put back", *(field[:400] for field in fields), *more]

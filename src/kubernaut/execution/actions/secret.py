"""Puts new values into a Secret, each taken from another Secret that a person made for that: no plan, record or message ever holds one."""

from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.api.execution import UndoKind
from kubernaut.execution.actions.base import (
    Access,
    Effect,
    KubernetesName,
    ObjectParameters,
    OnKind,
    Plan,
    Target,
    on,
    read,
    read_and_patch,
)
from kubernaut.kube.client import Client, path_of
from kubernaut.kube.errors import ApiError

COPY_TO: Final = "kubernaut.ai/copy-to"
"""Annotation by which people let a Secret be read: the name of the one Secret of its namespace that its values are for."""
DataKey = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]


class SecretKey(BaseModel):
    """A key of a Secret in the same namespace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: KubernetesName
    key: DataKey


class SecretParameters(ObjectParameters):
    """Which keys are set, and where the value of each is found when it is carried out."""

    value_from: Annotated[dict[DataKey, SecretKey], Field(max_length=64, min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _no_values(cls, told: Any) -> Any:
        if isinstance(told, dict) and told.keys() & {"data", "string_data"}:
            raise ValueError(
                "data: a plan can be read by many, so no secret value may stand in it; put the value into another Secret of the namespace "
                f"with the annotation {COPY_TO}, and name that Secret and its key in value_from"
            )
        return told

    @property
    def sources(self) -> list[str]:
        """The Secrets that values are taken from."""
        return sorted({each.name for each in self.value_from.values()})


class UpdateSecret(OnKind[SecretParameters]):
    """Sets keys of a Secret without ever reading its data: so what stood there before cannot be put back."""

    name = "update_secret"
    parameters = SecretParameters
    kind = core.SECRET
    undo = UndoKind.NONE
    rights = on(core.SECRET)
    hidden = True

    def access(self, given: SecretParameters) -> list[Access]:
        """Read and patch it, and read what its new values are taken from."""
        return [*read_and_patch(self.target(given)), *(Access("get", core.SECRET, given.namespace, name) for name in given.sources)]

    async def plan(self, client: Client, given: SecretParameters, mark: str) -> Plan:
        """Patch the keys with the values as they are encoded in their sources."""
        del mark
        current = await read(client, self.target(given))
        found = {name: await _source(client, given, name) for name in given.sources}
        faults = tuple(why for name, source in found.items() if (why := _unreadable(given, name, source)))
        data, missing = _values(given, {} if faults else found)
        keys = ", ".join(f"{key} from {each.name}/{each.key}" for key, each in sorted(given.value_from.items()))
        return Plan(Effect.PATCH, current, {"data": data}, faults=faults or missing, notes=(f"sets {keys}; values are never shown",))


async def _source(client: Client, given: SecretParameters, name: str) -> Obj:
    """Return a Secret whole, which the client's own `get` would not give; nothing of one that was not made for this. Raise ApiError."""
    target = Target(core.SECRET, given.namespace, name)
    try:
        meta = (await read(client, target))["metadata"]
    except ApiError as fault:
        if fault.not_found:
            return {}
        raise
    if (meta.get("annotations") or {}).get(COPY_TO) != given.resource_name:
        return {"metadata": meta}
    whole: Obj = orjson.loads(await client.text(path_of(core.SECRET, given.namespace, name)))
    return whole


def _unreadable(given: SecretParameters, name: str, source: Obj) -> str:
    """Return why values may not be taken from a Secret, if so."""
    if not source:
        return f"there is no Secret {given.namespace}/{name} to take values from"
    if (source["metadata"].get("annotations") or {}).get(COPY_TO) != given.resource_name:
        return f"Secret {given.namespace}/{name} is not made for this: its annotation {COPY_TO} must say {given.resource_name}"
    return ""


def _values(given: SecretParameters, found: dict[str, Obj]) -> tuple[Obj, tuple[str, ...]]:
    """Return the encoded values by key, and which of them there are none of."""
    data = {key: (found.get(each.name, {}).get("data") or {}).get(each.key) for key, each in given.value_from.items()}
    lacking = [given.value_from[key] for key, value in data.items() if value is None]
    missing = tuple(f"Secret {given.namespace}/{each.name} has no key {each.key}" for each in lacking)
    return {key: value for key, value in data.items() if value is not None}, missing

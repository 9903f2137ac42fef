"""Actions that write an object's content as they are told: patches, manifests, ConfigMaps, NetworkPolicies."""

from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field, JsonValue, StringConstraints, ValidationError, field_validator, model_validator

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.api.execution import UndoKind
from kubernaut.api.redact import redact_value
from kubernaut.execution.actions.base import (
    WORKLOADS,
    Access,
    ActionParameters,
    Effect,
    KubernetesNamespace,
    ObjectParameters,
    OnKind,
    Plan,
    Standard,
    Target,
    on,
    read,
    read_or_none,
)
from kubernaut.execution.actions.rollouts import OnWorkload, WorkloadParameters, rolled_out
from kubernaut.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Client
from kubernaut.kube.status import changes

SIZE_LIMIT: Final = 65_536
"""Characters of a patch, a manifest or a map's data."""
MANAGER: Final = "kubernaut"
APPLICABLE: Final = (
    *(core.CONFIG_MAP, core.SERVICE, core.PERSISTENT_VOLUME_CLAIM, core.RESOURCE_QUOTA, core.LIMIT_RANGE),
    *(core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.JOB, core.CRON_JOB),
    *(core.HORIZONTAL_POD_AUTOSCALER, core.POD_DISRUPTION_BUDGET, core.NETWORK_POLICY),
)
"""Kinds that a manifest may have: nothing that grants rights, holds secrets or reaches beyond its namespace."""
_APPLICABLE: Final = {kind.kind: kind for kind in APPLICABLE}
_PATCH_TYPES = {"merge": MERGE_PATCH, "strategic": STRATEGIC_PATCH, "json": JSON_PATCH}
DataKey = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]


def small(value: Any) -> Any:
    """Return a JSON value; raise ValueError for one that is too large to be recorded and taken back, or is not for everybody's eyes."""
    if len(orjson.dumps(value)) > SIZE_LIMIT:
        raise ValueError(f"at most {SIZE_LIMIT} characters of JSON")
    if redact_value(value) != value:
        raise ValueError(
            "it holds what looks like a secret, and a plan can be read by many: put that into a Secret and refer to it (secretKeyRef)"
        )
    return value


class PatchParameters(WorkloadParameters):
    """Any change of a workload."""

    patch: dict[str, JsonValue] | list[dict[str, JsonValue]]
    patch_type: Literal["strategic", "merge", "json"] = "strategic"
    _small = field_validator("patch")(small)

    @model_validator(mode="after")
    def _fits(self) -> "PatchParameters":
        if (self.patch_type == "json") != isinstance(self.patch, list):
            raise ValueError("a json patch is a list of operations, any other an object")
        return self


class PatchDeployment(OnWorkload[PatchParameters]):
    """Changes a workload by a patch; only its spec, labels and annotations."""

    name = "patch_deployment"
    parameters = PatchParameters
    undo = UndoKind.EXACT

    async def plan(self, client: Client, given: PatchParameters, mark: str) -> Plan:
        """Let the server apply the patch for trial, and make a merge patch of what came out: one form to record and to undo."""
        del mark
        target = self.target(given)
        current = await read(client, target)
        body: Any = given.patch
        trial = await client.patch(
            target.kind, target.name, target.namespace, body, content_type=_PATCH_TYPES[given.patch_type], dry_run=True
        )
        patch = changes(_content(current), _content(trial)) or {}
        return Plan(Effect.PATCH, current, patch, faults=() if patch else ("the patch changes nothing in spec, labels or annotations",))


def _content(obj: Obj) -> Obj:
    """Return what people write of an object, whatever its kind."""
    metadata = {name: obj["metadata"].get(name) or {} for name in ("labels", "annotations")}
    rest = {name: value for name, value in obj.items() if name not in {"apiVersion", "kind", "metadata", "status"}}
    return {"metadata": metadata, **rest}


class ManifestParameters(ActionParameters):
    """The object as it is to be."""

    manifest: dict[str, JsonValue]
    namespace: KubernetesNamespace | None = None
    """Where the manifest does not say it itself."""
    _small = field_validator("manifest")(small)

    @model_validator(mode="after")
    def _whole(self) -> "ManifestParameters":
        kind = _APPLICABLE.get(str(self.manifest.get("kind")))
        if kind is None or self.manifest.get("apiVersion") != kind.api_version:
            said = f"{self.manifest.get('apiVersion')} {self.manifest.get('kind')}"
            raise ValueError(f"manifest: {said[:100]} cannot be applied; what can is {', '.join(sorted(_APPLICABLE))}")
        if "status" in self.manifest:
            raise ValueError("manifest: leave out status, which is its controller's to write")
        try:
            ObjectParameters(namespace=self.place, resource_name=self.name)
        except ValidationError as fault:
            raise ValueError("manifest: metadata.name and a namespace must be given, both Kubernetes names") from fault
        return self

    @property
    def _metadata(self) -> Obj:
        found = self.manifest.get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self._metadata.get("name") or "")

    @property
    def place(self) -> str:
        """The object's namespace."""
        return str(self._metadata.get("namespace") or self.namespace or "")

    @property
    def kind(self) -> Kind:
        """The object's kind."""
        return _APPLICABLE[str(self.manifest["kind"])]

    def body(self) -> Obj:
        """Return the manifest with what tells its object, and of its metadata only labels and annotations."""
        kept = {key: value for key, value in self._metadata.items() if key in {"labels", "annotations"}}
        return {**self.manifest, "metadata": {"name": self.name, "namespace": self.place, **kept}}


class ApplyManifest(Standard[ManifestParameters]):
    """Makes an object as a manifest says; fields that it does not name stay."""

    name = "apply_manifest"
    parameters = ManifestParameters
    undo = UndoKind.EXACT
    rights = on(*APPLICABLE, verbs=["get", "create", "patch", "delete"])
    creates = True

    def target(self, given: ManifestParameters) -> Target:
        """Return the manifest's object."""
        return Target(given.kind, given.place, given.name)

    def access(self, given: ManifestParameters) -> list[Access]:
        """Read, create and patch it, and delete it should that be taken back."""
        target = self.target(given)
        own = [Access(verb, target.kind, target.namespace, target.name) for verb in ("get", "patch", "delete")]
        return [*own, Access("create", target.kind, target.namespace)]

    async def plan(self, client: Client, given: ManifestParameters, mark: str) -> Plan:
        """Create it, or let the server apply the manifest for trial and patch the difference."""
        del mark
        target = self.target(given)
        current = await read_or_none(client, target)
        if current is None:
            return Plan(Effect.CREATE, patch=given.body())
        trial = await client.apply(target.kind, given.body(), manager=MANAGER, force=True, dry_run=True)
        patch = changes(_content(current), _content(trial)) or {}
        return Plan(Effect.PATCH, current, patch, faults=() if patch else (f"{target} is as the manifest says already",))

    def awaits(self, given: ManifestParameters, current: Obj | None, uid: str) -> str:
        """Wait for the roll-out, if it is a workload."""
        del uid
        return rolled_out(current) if given.kind in WORKLOADS.values() else ""


class ConfigMapParameters(ObjectParameters):
    """Which keys; at least one."""

    data: Annotated[dict[DataKey, str], Field(max_length=64)] = {}
    remove_keys: Annotated[list[DataKey], Field(max_length=64)] = []
    _small = field_validator("data")(small)

    @model_validator(mode="after")
    def _something(self) -> "ConfigMapParameters":
        if not self.data and not self.remove_keys:
            raise ValueError("give data, remove_keys or both")
        if both := sorted(set(self.data) & set(self.remove_keys)):
            raise ValueError(f"keys are both set and removed: {', '.join(both)}")
        return self


class UpdateConfigMap(OnKind[ConfigMapParameters]):
    """Sets and removes keys of a ConfigMap; pods that read it as environment see it after a restart."""

    name = "update_configmap"
    parameters = ConfigMapParameters
    kind = core.CONFIG_MAP
    undo = UndoKind.EXACT
    rights = on(core.CONFIG_MAP)

    async def plan(self, client: Client, given: ConfigMapParameters, mark: str) -> Plan:
        """Patch the keys."""
        del mark
        current = await read(client, self.target(given))
        data: Obj = current.get("data") or {}
        missing = sorted(set(given.remove_keys) - set(data))
        faults = [f"there is no key {', '.join(missing)}"] if missing else []
        if all(data.get(key) == value for key, value in given.data.items()) and not given.remove_keys:
            faults.append("it has these values already")
        return Plan(Effect.PATCH, current, {"data": {**given.data, **dict.fromkeys(given.remove_keys)}}, faults=tuple(faults))


class PolicyParameters(ObjectParameters):
    """The policy's rules: of podSelector, policyTypes, ingress and egress those that change."""

    rules: dict[Literal["podSelector", "policyTypes", "ingress", "egress"], JsonValue]
    _small = field_validator("rules")(small)

    @model_validator(mode="after")
    def _something(self) -> "PolicyParameters":
        if not self.rules:
            raise ValueError("rules: give podSelector, policyTypes, ingress or egress")
        return self


class UpdateNetworkPolicy(OnKind[PolicyParameters]):
    """Replaces rules of a NetworkPolicy."""

    name = "update_network_policy"
    parameters = PolicyParameters
    kind = core.NETWORK_POLICY
    undo = UndoKind.EXACT
    rights = on(core.NETWORK_POLICY)

    async def plan(self, client: Client, given: PolicyParameters, mark: str) -> Plan:
        """Patch the rules that are given, each whole."""
        del mark
        current = await read(client, self.target(given))
        rules: Obj = {str(name): value for name, value in given.rules.items()}
        patch = changes({name: current["spec"].get(name) for name in rules}, rules)
        return Plan(Effect.PATCH, current, {"spec": patch or {}}, faults=() if patch else ("it has these rules already",))

"""The simulated cluster: the embedded API server without its HTTP, furnished with our definitions, the catalogue, and workloads that fail."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kubernaut import catalog, manifests
from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.kube.client import Client
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.admission import Policies
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call, User
from kubernaut.localcluster.metadata import Sources
from kubernaut.localcluster.pipelines import tekton_crds
from kubernaut.localcluster.schema import Fault, Schema
from kubernaut.localcluster.schemas import Schemas
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.simulation.replica import SimulatedClock

ADMIN, PRODUCT, PERSON, COLLEAGUE = "admin-token", "product-token", "person-token", "colleague-token"
GROUPS: Final = ("system:kubernaut:production-approvers", "kubernaut:approvers", "platform-admin", "system:authenticated")
USERS: Final = {
    PRODUCT: User("system:serviceaccount:kubernaut-system:kubernaut", groups=("system:serviceaccounts", "system:authenticated")),
    PERSON: User("oncall@example.com", groups=GROUPS),
    COLLEAGUE: User("colleague@example.com", groups=GROUPS),
}
ENVIRONMENTS: Final = ("production", "staging")
ON_OFFER = ("increase-memory-conservative", "restart-deployment", "rollback-deployment", "scale-deployment")
"""What of the shipped catalogue is put on offer: a case begins sooner with less."""
DIGEST: Final = "sha256:" + "0" * 64
TWO_PEOPLE: Final = "two-people"
"""The ConfigMap with an approval policy by which production takes two people."""
TWO_PEOPLE_POLICY: Final = "rules: [{name: two-people, match: environment == 'production', set: {approvers: 2}}]"
LIMIT: Final = "128Mi"
WHOLE: Final = 8
INSTALLED: Final[list[Obj]] = [*manifests.everything(), *tekton_crds()]


@dataclass(frozen=True)
class Target:
    """A workload that fails."""

    namespace: str
    name: str
    needs: str
    """The memory its container needs."""

    @property
    def path(self) -> str:
        """How the product writes it."""
        return f"{self.namespace}/deployment/{self.name}"


def local_cluster(seed: int, clock: SimulatedClock) -> LocalCluster:
    """Return an API server whose time and chance are the simulation's."""
    rng = random.Random(f"cluster {seed}")
    sources = Sources(clock=clock.now, uid=lambda: str(UUID(int=rng.getrandbits(128), version=4)), chance=rng)
    made = LocalCluster(ClusterSettings(admin_token=ADMIN, users=USERS, sources=sources))
    made.registry.schemas = Trusting()
    made.registry.gates[:] = [_Seldom(gate) if isinstance(gate, Policies) else gate for gate in made.registry.gates]
    return made


class _Seldom:
    """Admission policies that judge every write of a person, and one in eight of the product's own."""

    def __init__(self, whole: Policies) -> None:
        self._whole = whole
        self._turn = 0

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        """Change nothing."""

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:
        """Refuse a write that a policy denies, at our turn."""
        self._turn += 1
        if call.user.name != USERS[PRODUCT].name or self._turn % WHOLE == 1:
            self._whole.check(kind, operation, new, old, call, subresource)


class Trusting(Schemas):
    """Believes most writes of custom resources to be well-formed, for that is most of a write's cost; looks at one in eight as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self._easy: dict[tuple[str, str], _Easy] = {}

    def of(self, kind: ResourceKind) -> Schema:
        """Return the schema of a kind."""
        known = super().of(kind)
        if not kind.custom:
            return known
        easy = self._easy.get((kind.group, kind.plural))
        if easy is None or easy.definition is not known.definition:
            easy = self._easy[kind.group, kind.plural] = _Easy(known)
        return easy

    def track(self, kind: ResourceKind, old: Obj | None, new: Obj, call: Call, now: str, subresource: str) -> None:
        """Keep no book of who set which field, save for the kinds whose fields are looked at: workloads."""
        if kind.group == "apps":
            super().track(kind, old, new, call, now, subresource)


class _Easy(Schema):
    """A schema that looks at one object in eight."""

    def __init__(self, whole: Schema) -> None:
        super().__init__(whole.definition)
        self._whole = whole
        self._turn = 0

    def decode_fault(self, obj: Obj) -> str | None:
        """Say what cannot be decoded, at our turn: a write begins here."""
        self._turn += 1
        return self._whole.decode_fault(obj) if self._ours else None

    def prune(self, obj: Obj) -> list[str]:
        """Drop what is unknown, at our turn."""
        return self._whole.prune(obj) if self._ours else []

    def default(self, obj: Obj) -> None:
        """Fill in defaults, at our turn and at creation."""
        if self._ours or "resourceVersion" not in obj["metadata"]:
            self._whole.default(obj)

    def validate(self, obj: Obj, old: Obj | None = None, *, before: Sequence[Fault] = ()) -> list[Fault]:
        """Return all faults, at our turn."""
        return self._whole.validate(obj, old, before=before) if self._ours else []

    @property
    def _ours(self) -> bool:
        return self._turn % WHOLE == 1


async def furnish(client: Client, targets: list[Target]) -> None:
    """Install definitions, policies, the catalogue and the workloads."""
    for obj in INSTALLED:
        kind = core.kind_named(obj["kind"])
        assert kind is not None
        await client.create(kind, obj)
    for workflow in catalog.load({name: f"registry.example.com/{name}@{DIGEST}" for name in ON_OFFER}):
        workflow.metadata.namespace = SYSTEM_NAMESPACE
        await client.create(workflow.card, workflow.wire())
    policy = {"metadata": {"name": TWO_PEOPLE, "namespace": SYSTEM_NAMESPACE}, "data": {"policy.yaml": TWO_PEOPLE_POLICY}}
    await client.create(core.CONFIG_MAP, policy)
    for namespace in dict.fromkeys(target.namespace for target in targets):
        labels = {"environment": namespace, "kubernaut.ai/managed": "true"}
        await client.create(core.NAMESPACE, {"metadata": {"name": namespace, "labels": labels}})
    for target in targets:
        await client.create(core.DEPLOYMENT, deployment(target))


def deployment(target: Target) -> Obj:
    """Return the workload's Deployment, of one replica."""
    labels = {"app": target.name}
    limits = {"requests": {"memory": LIMIT}, "limits": {"memory": LIMIT}}
    container = {"name": "main", "image": f"registry.example.com/{target.name}:1.0", "resources": limits}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "automountServiceAccountToken": False}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": target.name, "namespace": target.namespace, "labels": labels}
    if target.name.endswith("4"):  # one in ten is kept by Argo CD: its fix is proposed, never carried out
        metadata["annotations"] = {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{target.namespace}/{target.name}"}
    return {"metadata": metadata, "spec": spec}

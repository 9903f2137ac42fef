"""What the execution stage is told at its start."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.durations import Length
from kubernaut.conditions.judging import SOURCE
from kubernaut.policy.settings import PolicySource


class ExecutionSettings(BaseModel):
    """Settings of the execution stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protected_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease", "kubernaut-system"})
    """Nothing in them is ever acted on."""
    protect_control_plane: bool = True
    """Whether nodes of the control plane are left alone."""
    allowed_actions: frozenset[str] | None = None
    """Canonical names of what may be done; None allows all that is built."""
    identity_namespace: str = "kubernaut-system"
    """Where the actions' service accounts are, each `{action-with-hyphens}-sa`, as which they act; empty: they act as we do."""
    identities: Mapping[str, str] = {}
    """Who acts instead, by canonical action name, such as `system:serviceaccount:shop:scaler`; an empty name: as we do."""
    automatic_undo: Literal["never", "exact", "always"] = "exact"
    """Which fixes are taken back without a person's word when they made things worse: those that can be exactly, or as well as they can."""
    poll: Length = Field(default=timedelta(seconds=10), gt=timedelta())
    """How often a condition that is waited for is looked at, watches aside."""
    conditions: PolicySource = SOURCE
    """Where users' own conditions are, which must be so before operations and runs of workflows, and after; neither there: none."""

    def identity(self, action: str) -> str:
        """Return the user as which an action acts; empty for our own."""
        name = f"{action.replace('_', '-')}-sa"
        own = f"system:serviceaccount:{self.identity_namespace}:{name}" if self.identity_namespace else ""
        return self.identities.get(action, own)

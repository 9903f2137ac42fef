"""What the execution stage is told at its start."""

from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class ExecutionSettings(BaseModel):
    """Settings of the execution stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protected_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease", "kubernaut-system"})
    """Nothing in them is ever acted on."""
    allowed_actions: frozenset[str] | None = None
    """Canonical names of what may be done; None allows all that is built."""
    identities: Mapping[str, str] = {}
    """Who acts, by canonical action name, such as `system:serviceaccount:kubernaut-system:scale-deployment-sa`; others act as we do."""
    poll: timedelta = Field(default=timedelta(seconds=10), gt=timedelta())
    """How often a postcondition is looked at, watches aside."""

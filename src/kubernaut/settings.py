"""Everything an operator may set: one tree of frozen models, read once, every fault told at once."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kubernaut.analysis.settings import AnalysisSettings
from kubernaut.api.base import Unusable
from kubernaut.api.durations import Length
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube.leader import LeaderSettings
from kubernaut.notification.settings import NotificationSettings
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.processing.settings import ProcessingSettings
from kubernaut.verification.settings import VerificationSettings
from kubernaut.workflow.settings import WorkflowSettings

PREFIX = "KUBERNAUT_"
DIVIDER = "__"


class BadSettings(Unusable):
    """The settings cannot be used; the message lists every fault."""


class ServiceUrls(BaseModel):
    """Where the two HTTP services are, when they do not run in this process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    datastorage: str = ""
    notification: str = ""
    token_file: str = ""
    """File of the bearer token that is shown to them, such as a projected service account token; read anew for each request."""


class ProbeSettings(BaseModel):
    """Where a process, whatever its parts, answers `/healthz`, `/readyz` and `/metrics`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65_535)
    """Unset: nowhere; the HTTP services answer on their own ports all the same."""


class LeaderTimes(BaseModel):
    """How soon another replica takes over from a leader that is gone; the defaults are client-go's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease: Length = timedelta(seconds=15)
    """How long a rival waits after the last sign of life; whole seconds."""
    renew: Length = timedelta(seconds=10)
    """How long a leader tries to renew before it stops working."""
    retry: Length = timedelta(seconds=2)
    """How often the lease is looked at."""

    @model_validator(mode="after")
    def _one_leads(self) -> "LeaderTimes":
        self.election(name="", namespace="")
        return self

    def election(self, *, name: str, namespace: str) -> LeaderSettings:
        """Return the election of a lease; raise ValueError for times under which two could lead at once."""
        return LeaderSettings(name=name, namespace=namespace, lease=self.lease, renew=self.renew, retry=self.retry)


class Settings(BaseModel):
    """All settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = "kubernaut-system"
    """Where all objects of ours are."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    leader_election: bool = True
    leader: LeaderTimes = LeaderTimes()
    services: ServiceUrls = ServiceUrls()
    probe: ProbeSettings = ProbeSettings()
    gateway: GatewaySettings = GatewaySettings()
    orchestration: OrchestrationSettings = OrchestrationSettings()
    processing: ProcessingSettings = ProcessingSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    workflow: WorkflowSettings = WorkflowSettings()
    execution: ExecutionSettings = ExecutionSettings()
    verification: VerificationSettings = VerificationSettings()
    notification: NotificationSettings = NotificationSettings()
    datastorage: DataStorageSettings = Field(default_factory=DataStorageSettings)


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read settings from a YAML file, overridden by `KUBERNAUT_SECTION__KEY` variables.

    Raise BadSettings with every fault when the file cannot be read, or a key is unknown, or a value wrong.
    """
    tree = _read(path) if path is not None else {}
    variables = [name for name in sorted(environment) if name.startswith(PREFIX) and DIVIDER in name]
    faults = [f"{name}: {fault}" for name in variables if (fault := _override(tree, name, environment[name]))]
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        faults += [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
    if faults:
        raise BadSettings("the settings cannot be used:\n" + "\n".join(f"  - {fault}" for fault in faults))
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSettings(f"{path} cannot be read: it is no text") from error
    except (yaml.YAMLError, ValueError) as error:
        raise BadSettings(f"{path} is no YAML: {error}") from error
    if not isinstance(tree or {}, dict):
        raise BadSettings(f"{path} must hold a mapping of sections")
    return {key: {} if value is None else value for key, value in (tree or {}).items()}


def _override(tree: dict[str, Any], name: str, text: str) -> str:
    """Put a variable's value at its place in the tree; return what is wrong with it, if anything."""
    *sections, key = name.removeprefix(PREFIX).lower().split(DIVIDER)
    for section in sections:
        below = tree.setdefault(section, {})
        if not isinstance(below, dict):
            return "a section of that name holds a plain value"
        tree = below
    try:
        tree[key] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return "its text is no YAML"
    return ""

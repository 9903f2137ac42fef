"""Scenario data: what containers do when they run, told to the simulator beside the API so that no reader of the cluster can see it.

Rules match containers by namespace, owning workload, labels, name and image; of each kind of behaviour the first rule that matches counts.
"""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from kubernaut.localcluster.quantity import parse as quantity

__all__ = [
    "Condition",
    "ConfigKey",
    "Exits",
    "ImageMissing",
    "LiveScenario",
    "Match",
    "NeedsMemory",
    "NodeRule",
    "ProbeFails",
    "Rule",
    "Scenario",
    "ScenarioError",
    "Subject",
]

_STRICT = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)
_LOG_LIMIT = 64 * 1024


class ScenarioError(ValueError):
    """The scenario is not well formed; the message lists every fault with its place."""


def _memory(value: object) -> int:
    if not isinstance(value, int | str):
        message = "a memory quantity is expected, such as 200Mi"
        raise ValueError(message)  # noqa: TRY004 - pydantic reports ValueErrors
    return int(quantity(value))


Bytes = Annotated[int, BeforeValidator(_memory), Field(gt=0)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
Text = Annotated[str, Field(max_length=_LOG_LIMIT)]


@dataclass(frozen=True, slots=True)
class Subject:
    """The container a rule is asked about."""

    namespace: str
    workload: str
    """Name of the topmost workload that owns the pod, or of the pod itself."""
    labels: Mapping[str, str]
    container: str
    image: str


@dataclass(frozen=True, config=_STRICT)
class Match:
    """Which containers: every field given must hold; names and images may hold `*` and `?`."""

    namespace: str = "*"
    workload: str = "*"
    labels: dict[str, str] = Field(default_factory=dict)
    container: str = "*"
    image: str = "*"

    def holds(self, subject: Subject) -> bool:
        """Tell whether the container is meant."""
        told = (subject.namespace, subject.workload, subject.container, subject.image)
        patterns = (self.namespace, self.workload, self.container, self.image)
        return all(map(fnmatchcase, told, patterns)) and self.labels.items() <= dict(subject.labels).items()


@dataclass(frozen=True, config=_STRICT)
class ConfigKey:
    """A key of a ConfigMap or Secret in the pod's namespace, and the value it must have (any, where none is given)."""

    key: str
    config_map: str = ""
    secret: str = ""
    value: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.config_map) == bool(self.secret):
            message = "give either configMap or secret"
            raise ValueError(message)
        return self


@dataclass(frozen=True, config=_STRICT)
class Condition:
    """When a fault is over: all that is given must hold; with nothing given it never is."""

    config: ConfigKey | None = None
    image: str = ""
    """Pattern that the container's image matches."""
    env: dict[str, str] = Field(default_factory=dict)
    """Values of the container's environment, references resolved."""
    service_ready: str = ""
    """A Service of the namespace with a ready endpoint."""


@dataclass(frozen=True, config=_STRICT)
class NeedsMemory:
    """The container is OOM-killed when its memory limit is below what it needs."""

    memory: Bytes
    after: Seconds = 1.0


@dataclass(frozen=True, config=_STRICT)
class Exits:
    """The container ends by itself after running a while."""

    code: Annotated[int, Field(ge=0, le=255)] = 1
    after: Seconds = 1.0
    log: Text = ""
    message: Text = ""
    """The termination message."""
    until: Condition | None = None


@dataclass(frozen=True, config=_STRICT)
class ImageMissing:
    """Pulling the image fails, in the words of containerd: the image is not there, access is refused, or the registry cannot be reached."""

    why: Annotated[str, Field(pattern="^(notFound|denied|unreachable)$")] = "notFound"


@dataclass(frozen=True, config=_STRICT)
class ProbeFails:
    """A probe of the container fails."""

    probe: Annotated[str, Field(pattern="^(readiness|liveness|startup)$")]
    message: Text = "HTTP probe failed with statuscode: 503"
    after: Seconds = 0.0
    until: Condition | None = None


@dataclass(frozen=True, config=_STRICT)
class Rule:
    """What the matching containers do."""

    match: Match = Field(default_factory=Match)
    needs_memory: NeedsMemory | None = None
    exits: Exits | None = None
    image_missing: ImageMissing | None = None
    probe_fails: ProbeFails | None = None
    slow_start: Seconds | None = None
    """Seconds after which a started container first passes its readiness probe."""
    log: Text | None = None
    """What the container writes when it starts."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(part is None for part in (self.needs_memory, self.exits, self.image_missing, self.probe_fails, self.slow_start, self.log)):
            message = "the rule says nothing: give needsMemory, exits, imageMissing, probeFails, slowStart or log"
            raise ValueError(message)
        return self


@dataclass(frozen=True, config=_STRICT)
class NodeRule:
    """A node that the simulator registers and keeps."""

    name: str
    ready: bool = True
    reason: str = "KubeletNotReady"
    message: str = (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:Network plugin returns error: cni plugin not initialized"
    )
    cpu: str = "8"
    memory: str = "16Gi"
    pods: int = 110
    labels: dict[str, str] = Field(default_factory=dict)
    taints: list[dict[str, str]] = Field(default_factory=list)


@dataclass(frozen=True, config=_STRICT)
class Scenario:
    """Everything the simulator is told: nodes and rules."""

    nodes: list[NodeRule] = Field(default_factory=list)
    rules: list[Rule] = Field(default_factory=list)

    @classmethod
    def from_obj(cls, obj: object) -> "Scenario":
        """Read decoded YAML; raise ScenarioError listing all faults."""
        try:
            return _ADAPTER.validate_python(obj)
        except ValidationError as error:
            raise ScenarioError("; ".join(_told(fault) for fault in error.errors())) from error

    @property
    def asks_for_services(self) -> bool:
        """Tell whether any fault ends when a Service gets ready."""
        conditions = [part.until for rule in self.rules for part in (rule.exits, rule.probe_fails) if part]
        return any(condition.service_ready for condition in conditions if condition)

    @classmethod
    def from_yaml(cls, text: str) -> "Scenario":
        """Read YAML text; raise ScenarioError."""
        try:
            return cls.from_obj(yaml.safe_load(text) or {})
        except yaml.YAMLError as error:
            message = f"no YAML: {error}"
            raise ScenarioError(message) from error

    def rules_for(self, subject: Subject) -> Iterable[Rule]:
        """Return the rules that match a container, in order."""
        return (rule for rule in self.rules if rule.match.holds(subject))


_ADAPTER: TypeAdapter[Scenario] = TypeAdapter(Scenario)


def _told(fault: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place or 'scenario'}: {fault['msg']}"


class LiveScenario:
    """The scenario in force; it may be exchanged while the cluster runs."""

    def __init__(self, scenario: Scenario | None = None) -> None:
        """Begin with a scenario, or with one in which all is well."""
        self._scenario = scenario or Scenario()
        self._listeners: list[Callable[[], None]] = []

    @property
    def current(self) -> Scenario:
        """Return the scenario in force."""
        return self._scenario

    def replace(self, scenario: Scenario) -> None:
        """Put another scenario in force; all pods and nodes are looked at again."""
        self._scenario = scenario
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call back after each change."""
        self._listeners.append(listener)

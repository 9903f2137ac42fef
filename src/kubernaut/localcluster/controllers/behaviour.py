"""What one container would do if it ran now: scenario rules, weighed against the objects of the cluster."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.hashing import HASH_LABEL
from kubernaut.localcluster.controllers.images import is_valid, pull_fault
from kubernaut.localcluster.controllers.meta import controller_of, labels_of
from kubernaut.localcluster.controllers.references import Lookup, config_fault, environment
from kubernaut.localcluster.controllers.scenario import Condition, Exits, Rule, Scenario, Subject
from kubernaut.localcluster.quantity import parse as quantity

__all__ = ["Behaviour", "Exit", "ImageFault", "ProbeFault", "World", "behaviour_of", "subject_of", "workload_of"]

OOM_CODE: Final = 137
_AT_ONCE: Final = 0.2
_LOG_TAIL: Final = 2048
Role = Literal["init", "app"]


@dataclass(frozen=True, slots=True)
class World:
    """What the cluster shows that a container may depend on."""

    lookup: Lookup
    service_ready: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Exit:
    """A container's end: seconds after its start, code, reason and termination message."""

    after: float
    code: int
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ImageFault:
    """Why there is no image: the waiting reason and the message."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ProbeFault:
    """A probe that fails, from some seconds after the start."""

    after: float
    message: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a container meets and does."""

    image_fault: ImageFault | None = None
    config_fault: str = ""
    exit: Exit | None = None
    probe_faults: Mapping[str, ProbeFault] = field(default_factory=dict)
    slow_start: float = 0.0


def workload_of(pod: Obj) -> str:
    """Return the name of the topmost workload: a ReplicaSet's Deployment follows from its name and hash."""
    owner = controller_of(pod)
    if owner is None:
        return str(pod["metadata"]["name"])
    return str(owner["name"]).removesuffix(f"-{labels_of(pod).get(HASH_LABEL, '')}")


def subject_of(pod: Obj, container: Obj) -> Subject:
    """Return what rules match a container by."""
    return Subject(pod["metadata"]["namespace"], workload_of(pod), labels_of(pod), container["name"], container.get("image", ""))


def behaviour_of(pod: Obj, container: Obj, role: Role, scenario: Scenario, world: World) -> Behaviour:
    """Judge what the container does now."""
    rules = list(scenario.rules_for(subject_of(pod, container)))
    standing = _Standing(pod, container, world)
    return Behaviour(
        image_fault=_image_fault(container, rules),
        config_fault=config_fault(container, pod["metadata"]["namespace"], world.lookup),
        exit=_exit(container, rules, standing) or _usual_exit(pod, role),
        probe_faults=_probe_faults(rules, standing),
        slow_start=next((rule.slow_start for rule in rules if rule.slow_start is not None), 0.0),
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    pod: Obj
    container: Obj
    world: World

    def over(self, until: Condition | None) -> bool:
        """Tell whether a fault has come to its end."""
        if until is None or until == Condition():
            return False
        return self._config_holds(until) and self._env_holds(until) and self._image_holds(until) and self._service_holds(until)

    def _config_holds(self, until: Condition) -> bool:
        if until.config is None:
            return True
        kind, name = ("ConfigMap", until.config.config_map) if until.config.config_map else ("Secret", until.config.secret)
        value = ((self.world.lookup(kind, name) or {}).get("data") or {}).get(until.config.key)
        if value is None or until.config.value is None:
            return value is not None
        return bool((_decoded(value) if kind == "Secret" else value) == until.config.value)

    def _env_holds(self, until: Condition) -> bool:
        return not until.env or until.env.items() <= environment(self.container, self.world.lookup, _decoded).items()

    def _image_holds(self, until: Condition) -> bool:
        return not until.image or fnmatchcase(self.container.get("image", ""), until.image)

    def _service_holds(self, until: Condition) -> bool:
        return not until.service_ready or self.world.service_ready(until.service_ready)


def _decoded(value: str) -> str:
    return b64decode(value).decode(errors="replace")


def _image_fault(container: Obj, rules: list[Rule]) -> ImageFault | None:
    image = container.get("image", "")
    if not is_valid(image):
        message = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format'
        return ImageFault("InvalidImageName", message)
    missing = next((rule.image_missing for rule in rules if rule.image_missing), None)
    if missing is None:
        return None
    if container.get("imagePullPolicy") == "Never":
        return ImageFault("ErrImageNeverPull", f'Container image "{image}" is not present with pull policy of Never')
    return ImageFault("ErrImagePull", pull_fault(image, missing.why))


def _exit(container: Obj, rules: list[Rule], standing: _Standing) -> Exit | None:
    for rule in rules:
        if rule.needs_memory and _limit(container) < rule.needs_memory.memory:
            return Exit(rule.needs_memory.after, OOM_CODE, "OOMKilled")
        if rule.exits and not standing.over(rule.exits.until):
            return _told_exit(rule.exits, container)
    return None


def _told_exit(exits: Exits, container: Obj) -> Exit:
    message = exits.message
    if not message and exits.code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        message = exits.log[-_LOG_TAIL:]
    return Exit(exits.after, exits.code, "Completed" if exits.code == 0 else "Error", message)


def _limit(container: Obj) -> float:
    text = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return float("inf") if text is None else float(quantity(text))


def _usual_exit(pod: Obj, role: Role) -> Exit | None:
    owner = controller_of(pod)
    if role == "init" or (owner is not None and owner["kind"] == "Job"):
        return Exit(_AT_ONCE, 0, "Completed")
    return None


def _probe_faults(rules: list[Rule], standing: _Standing) -> dict[str, ProbeFault]:
    faults: dict[str, ProbeFault] = {}
    for rule in rules:
        failing = rule.probe_fails
        if failing and failing.probe not in faults and not standing.over(failing.until):
            faults[failing.probe] = ProbeFault(failing.after, failing.message)
    return faults

"""Stories: objects to create, what their pods do, and the workload that the alerts are about."""

from dataclasses import dataclass
from importlib.resources import files

import yaml

from kubernaut.api.base import Obj


@dataclass(frozen=True)
class Story:
    """One situation to play."""

    name: str
    objects: list[Obj]
    scenario: Obj
    """What the simulated pods do; never visible through the API."""
    namespace: str
    deployment: str


def story(name: str) -> Story:
    """Return a shipped story; raise FileNotFoundError when there is none of that name."""
    content = yaml.safe_load(files(__package__).joinpath("stories", f"{name}.yaml").read_text(encoding="utf-8"))
    target = content["target"]
    return Story(name, content["objects"], content["scenario"], target["namespace"], target["deployment"])

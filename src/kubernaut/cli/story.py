"""Stories: objects to create, what their pods do, and the workload that the alerts are about."""

from dataclasses import dataclass
from importlib.resources import files

import yaml

from kubernaut.api.base import Obj, Unusable


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
    """Return a shipped story; raise Unusable when there is none of that name."""
    shipped = {each.name.removesuffix(".yaml"): each for each in files(__package__).joinpath("stories").iterdir()}
    if name not in shipped:
        raise Unusable(f"there is no story {name!r}: the stories are {', '.join(sorted(shipped))}")
    content = yaml.safe_load(shipped[name].read_text(encoding="utf-8"))
    target = content["target"]
    return Story(name, content["objects"], content["scenario"], target["namespace"], target["deployment"])

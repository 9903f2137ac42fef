"""Targets that Argo CD or Flux keeps as a repository says: what may still be done live, and the fix as a proposal. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from kubernaut.api.base import Obj
from kubernaut.api.gitops import Keeper, keeps_field

MANAGED: Final = "ManagedFromRepository"
PREPARING: Final = "PreparingProposal"
MESSAGE_LIMIT: Final = 900
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
_PASSING: Final = frozenset({"restart", "cordon", "uncordon", "drain", "taint", "untaint", "evict", "notify", "collect", "quarantine"})
"""First words of actions that change nothing a repository holds: pods are replaced, nodes are marked."""
_PASSING_WHOLE: Final = frozenset({("delete", "pod"), ("rollout", "restart")})
_SCALING: Final = "scale"


class LiveChanges(StrEnum):
    """What to do with a fix of something that a repository holds."""

    PROPOSE = "propose"
    """Nothing is changed live that the tool manages: people get the change as a proposal."""
    ALLOW = "allow"
    """Change it live all the same, though the tool may take it back."""


class GitopsSettings(BaseModel):
    """How targets are treated that Argo CD, Flux or Helm manages."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    live_changes: LiveChanges = LiveChanges.PROPOSE
    """`propose`, or `allow`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A target that a tool keeps, as the cluster shows it."""

    keeper: Keeper
    suspended: bool = False
    """The tool leaves it alone for now."""
    source: str = ""
    """Where it takes the object from, as far as can be told."""


def touches_managed(target: Obj, action: str) -> bool:
    """Tell whether an action, by its canonical name or a workflow's action type, changes what a repository may hold; unknown ones do."""
    words = tuple(word.lower() for word in _WORD.findall(action.replace("-", "_")))
    if not words or words in _PASSING_WHOLE or words[0] in _PASSING:
        return False
    return keeps_field(target, "spec", "replicas") if words[0] == _SCALING else True


def must_propose(kept: Kept | None, target: Obj, actions: Sequence[str], settings: GitopsSettings) -> bool:
    """Tell whether a fix may not be carried out live: any of its actions changes what a tool at work would take back."""
    if kept is None or settings.live_changes is LiveChanges.ALLOW or kept.suspended or not kept.keeper.reverts:
        return False
    return any(touches_managed(target, action) for action in actions)


def why_proposed(kept: Kept, name: str, actions: Sequence[str]) -> str:
    """Say why a fix is proposed instead of carried out, and where it belongs."""
    where = f"; it belongs in {kept.source}" if kept.source else ""
    told = ", ".join(dict.fromkeys(actions))
    text = f"{name} is kept by {kept.keeper}, which would take a live change back: {told} is proposed, not carried out{where}"
    return text[:MESSAGE_LIMIT]


def helm_warning(detected: Mapping[str, str]) -> str:
    """Warn, by what processing recognised, that a Helm release's next upgrade takes a live change back; empty where no release is."""
    if detected.get("helmManaged") != "true" or detected.get("gitOpsManaged") == "true":
        return ""
    name = detected.get("helmRelease", "")
    release = f"Helm release {name}" if name else "a Helm release"
    return f"The target belongs to {release}: its next upgrade takes a live change back unless its values say the same."


def proposal(diffs: Sequence[str], words: Sequence[str], kept: Kept) -> str:
    """Write the proposed patch for people: the differences that a trial showed, else what is to be changed in words."""
    where = f"Where: {kept.source}\n\n" if kept.source else ""
    shown = "\n".join(diff.rstrip() for diff in diffs if diff.strip())
    told = "\n".join(f"- {word}" for word in words)
    return f"{where}```diff\n{shown}\n```" if shown else f"{where}The change could not be tried; it is:\n{told}"

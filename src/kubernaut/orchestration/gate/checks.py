"""The checks before a fix is begun. Pure; `gathering` fills in what they look at.

Order: the alert, pause, last look, who keeps the target; and last, when all else is well, the brake's limits.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, assert_never

from kubernaut.api.brake import Storm
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.signal import SignalState
from kubernaut.halt import LOOK_AGAIN
from kubernaut.orchestration.gate import gitops
from kubernaut.orchestration.gate.brake import PAUSED, BrakeSettings, Held, Load, held_by_limits, held_by_storm
from kubernaut.orchestration.gate.lastlook import RESOLVED, Busy, Known, Other, Over, Void, World, judge
from kubernaut.orchestration.steps import Block, End, Notice

if TYPE_CHECKING:
    from kubernaut.orchestration.routing import Situation

TRIAL_LOOK: Final = timedelta(seconds=2)
TRIAL_LIMIT: Final = timedelta(minutes=2)
"""After that people get the proposal in words."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What is about to be done, as far as it matters to who keeps the target."""

    actions: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """The same for people, one line an action."""
    trial: KubernetesExecution | None = None
    """Asked for only where the fix must be proposed."""


@dataclass(frozen=True, slots=True)
class Gate:
    """All that the checks look at."""

    namespace: str = ""
    """Of what is acted on; empty for what has none."""
    halted: str = ""
    """Why nothing may begin, by the word of a person."""
    storm: Storm | None = None
    everywhere: Load = field(default_factory=Load)
    here: Load = field(default_factory=Load)
    world: World | None = None
    """None where nothing was looked at: people have paused, or the brake holds."""
    known: Known = field(default_factory=Known)
    kept: gitops.Kept | None = None
    fix: Planned = field(default_factory=Planned)

    def held(self, settings: BrakeSettings, now: datetime) -> Held | None:
        """Return why the brake holds a fix, or None."""
        return held_by_storm(self.storm, now) or held_by_limits(self.everywhere, self.here, self.namespace, settings, now)


def resolved(situation: "Situation") -> End | None:
    """Leave the target alone once the alert's source says that it is over, whatever else holds."""
    if situation.request.status.signal_state is not SignalState.RESOLVED:
        return None
    message = f"the alert was resolved before anything was done: {situation.target} is left alone"
    return End(Phase.COMPLETED, situation.stage, RESOLVED, message, Notice.COMPLETION, Outcome.SELF_RESOLVED)


def paused(situation: "Situation") -> Block | None:
    """Hold it while people have paused; that lasts as long as they want, within a long limit of its own."""
    halted = situation.gate.halted
    return Block(PAUSED, halted, situation.now + LOOK_AGAIN, limit=situation.settings.pause_limit) if halted else None


def seen_once_more(situation: "Situation") -> Block | End | None:
    """Look at the world once more: what is over ends, what is busy waits, what is no longer the same goes to a person."""
    gate, look, now = situation.gate, situation.settings.look, situation.now
    if gate.world is None:
        return None
    sight = judge(gate.world, gate.known, look, now)
    match sight:
        case None:
            return None
        case Over(reason, message):
            return End(Phase.COMPLETED, situation.stage, reason, message, Notice.COMPLETION, Outcome.SELF_RESOLVED)
        case Busy(reason, message):
            return Block(reason, message, now + look.look_again, limit=look.patience)
        case Void(reason, message):
            return Block(reason, message, now + look.look_again)
        case Other(reason, message):
            return End(Phase.FAILED, situation.stage, reason, message, Notice.REVIEW, Outcome.MANUAL_REVIEW_REQUIRED)
        case _:
            assert_never(sight)


def kept_by_a_tool(situation: "Situation") -> Block | End | None:
    """Propose a fix of what Argo CD or Flux keeps, in place of carrying it out."""
    gate, fix = situation.gate, situation.gate.fix
    if gate.kept is None or gate.world is None or gate.world.target is None:
        return None
    if not gitops.must_propose(gate.kept, gate.world.target, fix.actions, situation.settings.gitops):
        return None
    if _trying(situation):
        return Block(gitops.PREPARING, "the change that is to be proposed is being tried without effect", situation.now + TRIAL_LOOK)
    message = gitops.why_proposed(gate.kept, gate.world.named.path(), fix.actions)
    diffs = [result.diff for result in fix.trial.status.operation_results] if fix.trial else []
    return End(
        Phase.FAILED,
        situation.stage,
        gitops.MANAGED,
        message,
        Notice.REVIEW,
        Outcome.MANUAL_REVIEW_REQUIRED,
        proposal=gitops.proposal(diffs, fix.words, gate.kept),
    )


def _trying(situation: "Situation") -> bool:
    trial = situation.gate.fix.trial
    if trial is None or trial.status.completion_time is not None:
        return False
    return situation.now < (trial.metadata.creation_timestamp or situation.now) + TRIAL_LIMIT


def braked(situation: "Situation") -> Block | None:
    """Hold it while too much is being done, or too much happens at once."""
    gate, brake, now = situation.gate, situation.settings.brake, situation.now
    held = gate.held(brake, now)
    return Block(held.reason, held.message, held.until, limit=brake.patience) if held else None

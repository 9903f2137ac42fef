"""What a seed makes of a world: which processes run, under which settings, what fails there and who hears of it."""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.gateway.settings import FingerprintStrategy, GatewaySettings
from kubernaut.orchestration.gate.brake import BrakeSettings
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.policy.settings import PolicySource
from kubernaut.settings import LeaderTimes, Settings
from kubernaut.verification.settings import VerificationSettings
from kubernaut.workflow.settings import WorkflowSettings
from tests.simulation.alarms import NAMES, Alarm
from tests.simulation.cluster import ENVIRONMENTS, TWO_PEOPLE, Target
from tests.simulation.replica import ALL_PARTS

BUSY_SECONDS: Final = 3600.0
NEEDS: Final = ("64Mi", "200Mi", "200Mi", "200Mi", "400Mi", "4Gi")
REHEARSALS: Final = 0.08
"""The chance of a world that acts on nothing."""
TWO_APPROVERS: Final = 0.2
"""The chance of a world in which production takes two people."""


@dataclass(frozen=True)
class Scene:
    """What a seed makes of a world."""

    settings: Settings
    targets: list[Target]
    alarms: list[Alarm]
    layout: list[tuple[str, frozenset[str]]]
    skew: float


def scene(seed: int, *, targets: int, layout: int | None = None, mode: PlanMode | None = None) -> Scene:
    """Choose a world."""
    rng = random.Random(f"scene {seed}")
    parts = rng.choices(LAYOUTS, OFTEN)[0]
    parts = parts if layout is None else LAYOUTS[layout]
    made = [Target(rng.choice(ENVIRONMENTS), f"app-{number}", rng.choice(NEEDS)) for number in range(targets)]
    return Scene(
        settings=_settings(rng, mode, elections=parts is not LAYOUTS[0]),
        targets=made,
        alarms=[alarm for target in made for alarm in _alarms(rng, target)],
        layout=parts,
        skew=rng.choice((0.0, 0.0, 1.5)),
    )


CONTROLLERS: Final = ALL_PARTS - {"gateway", "notification"}
LAYOUTS: Final = [
    [("all", ALL_PARTS)],
    [("one", ALL_PARTS), ("other", ALL_PARTS)],
    [
        ("gate-a", frozenset({"gateway"})),
        ("gate-b", frozenset({"gateway"})),
        ("brain", CONTROLLERS - {"workflow"}),
        ("arm", frozenset({"workflow", "notification"})),
    ],
]

OFTEN: Final = (4, 1, 2)
"""How often each runs: a second replica of everything makes a case cost half as much again."""


def _alarms(rng: random.Random, target: Target) -> list[Alarm]:
    names = rng.sample(NAMES, rng.choice((1, 1, 2, 3)))
    return [
        Alarm(
            target, name, begins=rng.uniform(5, 900), patience=rng.uniform(300, BUSY_SECONDS - 900), repeat=rng.choice((60.0, 180.0, 300.0))
        )
        for name in names
    ]


def _settings(rng: random.Random, mode: PlanMode | None, *, elections: bool) -> Settings:
    """Return settings under which a case ends within the hour."""
    minute = timedelta(minutes=1)
    cooldown = rng.choice((2, 6)) * minute
    chosen = rng.choice((PlanMode.CATALOGUE, PlanMode.CATALOGUE, PlanMode.STEPS))
    return Settings(
        leader_election=elections,
        leader=LeaderTimes(lease=timedelta(seconds=60), renew=timedelta(seconds=45), retry=timedelta(seconds=25)),
        gateway=GatewaySettings(fingerprint=rng.choice(list(FingerprintStrategy)), count_flush_seconds=0.05),
        analysis=AnalysisSettings(mode=chosen if mode is None else mode, policy=_policy(rng), approval_timeout=3 * minute),
        workflow=WorkflowSettings(cooldown=cooldown, wait_limit=10 * minute, default_timeout=4 * minute, cancel_grace=minute),
        orchestration=OrchestrationSettings(
            dry_run=mode is None and rng.random() < REHEARSALS,
            processing_limit=2 * minute,
            analysis_limit=4 * minute,
            approval_limit=3 * minute,
            workflow_limit=5 * minute,
            steps_limit=4 * minute,
            execution_limit=4 * minute,
            verification_limit=6 * minute,
            overall_limit=20 * minute,
            lock_wait_limit=12 * minute,
            stabilization_window=timedelta(seconds=30),
            validity=4 * minute,
            retention=5 * minute,
            cancel_limit=minute,
            block_limit=8 * minute,
            pause_limit=15 * minute,
            duplicate_limit=15 * minute,
            failure_rest=3 * minute,
            failure_backoff=timedelta(seconds=15),
            failure_backoff_limit=minute,
            cooldown=cooldown,
            chain_window=20 * minute,
            ineffective_limit=rng.choice((3, 6)),
            no_action_memory=rng.choice((minute, 10 * minute)),
            max_recovery_attempts=rng.choice((0, 1, 3)),
            recheck=timedelta(seconds=45),
            brake=BrakeSettings(
                concurrent=rng.choice((2, 5, None)),
                concurrent_per_namespace=rng.choice((1, 3, None)),
                hourly=rng.choice((10, None, None)),
                hourly_per_namespace=None,
                storm_cases=rng.choice((12, None, None)),
                storm_window=minute,
                storm_cooldown=3 * minute,
                look_again=1.5 * minute,
                patience=6 * minute,
            ),
        ),
        verification=VerificationSettings(look_every=timedelta(seconds=30)),
    )


def _policy(rng: random.Random) -> PolicySource:
    """Return where the approval policy is: none of our own, or in some worlds that by which production takes two people."""
    documented: PolicySource = AnalysisSettings().policy
    return documented if rng.random() >= TWO_APPROVERS else PolicySource(config_map=TWO_PEOPLE)

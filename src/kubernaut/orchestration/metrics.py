"""The orchestrator's metrics."""

from typing import Final

from prometheus_client import Counter, Gauge

PHASES: Final = Counter("kubernaut_remediationorchestrator_phase_transitions_total", "Changes of phase.", ["from_phase", "to_phase"])
CREATIONS: Final = Counter("kubernaut_remediationorchestrator_child_crd_creations_total", "Stage objects opened.", ["kind"])
TIMEOUTS: Final = Counter("kubernaut_remediationorchestrator_timeouts_total", "Phases that outlived their limit.", ["phase"])
OUTCOMES: Final = Counter("kubernaut_remediationorchestrator_ended_total", "Remediations that ended.", ["phase", "outcome"])
ESCALATIONS: Final = Counter(
    "kubernaut_remediationorchestrator_escalations_total", "Escalations by reason and how they went out.", ["reason", "priority", "way"]
)
PAUSES: Final = Gauge("kubernaut_remediationorchestrator_pauses", "Pauses in force; 1 everywhere, or one a namespace.")
STORM: Final = Gauge("kubernaut_remediationorchestrator_storm", "1 while storm mode lasts.")

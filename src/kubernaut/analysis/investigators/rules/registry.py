"""All rules, in one list. A new cause: a row or function in the module of its subject, a case in `tests/cases/`."""

from kubernaut.analysis.investigators.rules import (
    configuration,
    crashes,
    images,
    ingresses,
    jobs,
    lifecycle,
    memory,
    network,
    nodes,
    placing,
    probes,
    quotas,
    rbac,
    scaling,
    scheduling,
    services,
    storage,
    words,
)
from kubernaut.analysis.investigators.rules.judging import Rule

ALL: tuple[Rule, ...] = (
    *memory.RULES,
    *images.RULES,
    *configuration.RULES,
    *scheduling.RULES,
    *placing.RULES,
    *storage.RULES,
    *nodes.RULES,
    *quotas.RULES,
    *probes.RULES,
    *crashes.RULES,
    *rbac.RULES,
    *words.RULES,
    *services.RULES,
    *network.RULES,
    *ingresses.RULES,
    *scaling.RULES,
    *jobs.RULES,
    *lifecycle.RULES,
)

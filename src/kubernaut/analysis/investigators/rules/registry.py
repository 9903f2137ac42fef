"""All rules, in one list. A new cause: a function in the module of its subject, a row in that module's RULES, its cases in the tests."""

from kubernaut.analysis.investigators.rules import configuration, crashes, health, images, memory, probes, scheduling
from kubernaut.analysis.investigators.rules.judging import Rule

ALL: tuple[Rule, ...] = (
    *memory.RULES,
    *images.RULES,
    *configuration.RULES,
    *scheduling.RULES,
    *probes.RULES,
    *crashes.RULES,
    *health.RULES,
)

"""Which environment, which priority, whose business: told from labels. Reads nothing, writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubernaut.api.processing import BusinessClassification
from kubernaut.api.signal import Priority, Severity, fallback_priority

BUSINESS_LABELS = {
    "business_unit": ("kubernaut.ai/business-unit", "business-unit", "team"),
    "service_owner": ("kubernaut.ai/service-owner", "service-owner", "owner"),
    "criticality": ("kubernaut.ai/criticality", "criticality", "tier"),
    "sla_requirement": ("kubernaut.ai/sla", "sla"),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """A name, who says so, and how sure that is."""

    name: str
    source: str
    confidence: float


def environment(namespace_labels: Mapping[str, str], reported: str, keys: Sequence[str]) -> Environment:
    """Return the environment: the namespace's label, else what the alert said, else unknown."""
    for key in keys:
        if value := namespace_labels.get(key):
            return Environment(value.lower(), f"namespace label {key}", 1.0)
    if reported and reported != "unknown":
        return Environment(reported.lower(), "alert", 0.8)
    return Environment("unknown", "none", 0.0)


def priority(severity: Severity, environment_name: str) -> Priority:
    """Return the priority by the documented table."""
    return fallback_priority(severity, environment_name)


def business(*label_sets: Mapping[str, str]) -> BusinessClassification:
    """Return whose business it is; the first set of labels that says so wins."""
    found = {
        field: next((labels[key] for labels in label_sets for key in keys if labels.get(key)), "")
        for field, keys in BUSINESS_LABELS.items()
    }
    return BusinessClassification(**found)

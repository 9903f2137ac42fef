"""Conditions as users write them, and their ConfigMap."""

import yaml

from kubernaut.api import core
from tests.workflow.bench import SYSTEM

NAME = "kubernaut-workflow-conditions"
CHECKED = "target.metadata.?labels.?checked.orValue('') == 'yes'"


def condition(when, type_="checked", **more):
    return {"type": type_, "description": f"Somebody must have {type_} it.", "when": when, **more}


async def put(bench, text):
    """Store a text where both stages look."""
    body = {
        "metadata": {"name": NAME, "namespace": SYSTEM},
        "data": {"conditions.yaml": text if isinstance(text, str) else yaml.dump(text)},
    }
    await bench.client.apply(core.CONFIG_MAP, body, manager="tests", force=True)

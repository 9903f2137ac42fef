"""The shipped catalogue: pre-approved fixes as data, one folder each, and their reader.

A folder holds `workflow.yaml`, a RemediationWorkflow without bundle, and `step.sh`, what its one step does by kubectl. The Tekton Pipeline
that goes into the bundle is made of both, with `kubectl.sh` in front of the step. A parameter reaches the step as an environment variable,
never as text of the script.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import yaml

from kubernaut.api.base import Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.catalog.bundle import PIPELINE_NAME

STEP: Final = "kubectl"
"""The step's name, and the short name of its image."""
RUN: Final = "RUN"
"""The environment variable that tells one run from another: a step that is tried again knows what it did."""


def workflow_ids() -> list[str]:
    """Return the ids of all shipped workflows, in order."""
    return list(_ids())


@cache
def _ids() -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in files(__name__).iterdir() if entry.is_dir() and entry.joinpath("workflow.yaml").is_file()))


def images() -> dict[str, str]:
    """Return the whole image references by their short names."""
    return dict(_yaml(files(__name__).joinpath("images.yaml")))


def pipeline(workflow_id: str, image: str = "") -> Obj:
    """Return the Tekton Pipeline of a workflow, ready for its bundle; its step runs in `image`, or in the one of `images.yaml`."""
    spec = _yaml(_folder(workflow_id).joinpath("workflow.yaml"))["spec"]
    names = [each["name"] for each in spec["parameters"]]
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Pipeline",
        "metadata": {"name": PIPELINE_NAME},
        "spec": {
            "description": spec["description"],
            "params": [_declared(each) for each in spec["parameters"]],
            "tasks": [
                {
                    "name": "apply",
                    "params": [*(_given(name, f"params.{name}") for name in names), _given(RUN, "context.pipelineRun.uid")],
                    "taskSpec": {
                        "params": [{"name": name, "type": "string"} for name in (*names, RUN)],
                        "results": [{"name": "message", "description": "Why the step failed"}],
                        "steps": [_step(workflow_id, names, image or images()[STEP])],
                    },
                }
            ],
        },
    }


def script(workflow_id: str) -> str:
    """Return what the step of a workflow runs."""
    return f"{_text(files(__name__).joinpath('kubectl.sh'))}\n{_text(_folder(workflow_id).joinpath('step.sh'))}"


def load(bundles: Mapping[str, str]) -> list[RemediationWorkflow]:
    """Return the shipped workflows whose bundle is given: `repository@sha256:…` by workflow id; raise KeyError for an unknown id."""
    return [_workflow(workflow_id, bundles[workflow_id]) for workflow_id in sorted(bundles)]


def account(workflow_id: str) -> str:
    """Return the service account that a shipped workflow runs as: one of its own."""
    return f"kubernaut-{workflow_id}"


def identities(namespace: str) -> list[Obj]:
    """Return each shipped workflow's own service account in a namespace, with a role of what that workflow does and no more."""
    return [obj for workflow_id in workflow_ids() for obj in _identity(workflow_id, namespace)]


def _identity(workflow_id: str, namespace: str) -> list[Obj]:
    name, group = account(workflow_id), "rbac.authorization.k8s.io"
    rules = _yaml(_folder(workflow_id).joinpath("workflow.yaml"))["spec"]["execution"]["permissions"]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]


def _workflow(workflow_id: str, bundle: str) -> RemediationWorkflow:
    found = _yaml(_folder(workflow_id).joinpath("workflow.yaml"))
    run = found["spec"]["execution"] | {"bundle": bundle, "serviceAccountName": account(workflow_id)}
    return RemediationWorkflow.model_validate({**found, "spec": found["spec"] | {"execution": run}})


def _declared(parameter: Obj) -> Obj:
    """Say a parameter to Tekton; one that need not be given has a default there, the empty text if it has no better one."""
    told: Obj = {"name": parameter["name"], "type": "string", "description": parameter["description"]}
    return told if parameter.get("required", True) else told | {"default": parameter.get("default", "")}


def _given(name: str, source: str) -> Obj:
    return {"name": name, "value": f"$({source})"}


def _step(workflow_id: str, names: list[str], image: str) -> Obj:
    env = [_given(name, f"params.{name}") for name in (*names, RUN)]
    return {"name": STEP, "image": image, "env": env, "script": script(workflow_id)}


def _folder(workflow_id: str) -> Traversable:
    if workflow_id not in _ids():
        raise KeyError(workflow_id)
    return files(__name__).joinpath(workflow_id)


def _text(path: Traversable) -> str:
    return path.read_text(encoding="utf-8")


def _yaml(path: Traversable) -> Any:
    return deepcopy(_parsed(_text(path)))


@cache
def _parsed(text: str) -> Any:
    return yaml.safe_load(text)

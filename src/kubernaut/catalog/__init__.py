"""The shipped catalogue: pre-approved fixes as data, one folder each, and their reader.

A folder holds `workflow.yaml`, a RemediationWorkflow without bundle, and `pipeline.yaml`, the Tekton Pipeline that goes into
the bundle. Steps name their image in short (`images.yaml`); a step of image `kubectl` has `kubectl.sh` in front of its script.
"""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

import yaml

from kubernaut.api.base import Obj
from kubernaut.api.catalog import RemediationWorkflow

_PRELUDES = {"kubectl": "kubectl.sh"}


def workflow_ids() -> list[str]:
    """Return the ids of all shipped workflows, in order."""
    return sorted(entry.name for entry in files(__name__).iterdir() if entry.is_dir() and entry.joinpath("workflow.yaml").is_file())


def pipeline(workflow_id: str) -> Obj:
    """Return the Tekton Pipeline of a workflow, ready for its bundle: whole image references, whole scripts."""
    found = _yaml(_folder(workflow_id).joinpath("pipeline.yaml"))
    for task in (*found["spec"]["tasks"], *found["spec"].get("finally", ())):
        task["taskSpec"]["steps"] = [_complete(step) for step in task["taskSpec"]["steps"]]
    return found


def load(bundles: Mapping[str, str]) -> list[RemediationWorkflow]:
    """Return the shipped workflows whose bundle is given: `repository@sha256:…` by workflow id; raise KeyError for an unknown id."""
    return [_workflow(workflow_id, bundles[workflow_id]) for workflow_id in sorted(bundles)]


def images() -> dict[str, str]:
    """Return the whole image references by their short names."""
    return dict(_yaml(files(__name__).joinpath("images.yaml")))


def _workflow(workflow_id: str, bundle: str) -> RemediationWorkflow:
    found = _yaml(_folder(workflow_id).joinpath("workflow.yaml"))
    found["spec"]["execution"]["bundle"] = bundle
    return RemediationWorkflow.model_validate(found)


def _folder(workflow_id: str) -> Traversable:
    if workflow_id not in workflow_ids():
        raise KeyError(workflow_id)
    return files(__name__).joinpath(workflow_id)


def _complete(step: Obj) -> Obj:
    short = step["image"]
    prelude = files(__name__).joinpath(_PRELUDES[short]).read_text(encoding="utf-8") if short in _PRELUDES else ""
    return step | {"image": images().get(short, short), "script": prelude + step["script"]}


def _yaml(path: Traversable) -> Obj:
    decoded: Obj = yaml.safe_load(path.read_text(encoding="utf-8"))
    return decoded

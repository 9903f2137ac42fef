"""What forbids to run an execution at all: refused before anything happens, what the API server or Tekton would refuse included; pure."""

import re
from collections.abc import Collection, Iterable

from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.core import kind_named
from kubernaut.api.durations import parse_duration
from kubernaut.api.parameters import faults_of
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.workflow.target import LABEL_LIMIT, is_target

PARAMETERS_LIMIT = 65_536
LONGEST_HOURS = 24
_PINNED = re.compile(r"^[^@\s]+@sha256:[a-f0-9]{64}$")
_PARAMETER = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$")
_ACCOUNT = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_CLUSTER_SCOPED_PARTS = 2


def faults(
    execution: WorkflowExecution,
    *,
    protected: Collection[str] = (),
    engines: Collection[str] = (),
    catalogue: Iterable[RemediationWorkflow] = (),
) -> tuple[str, ...]:
    """Return what forbids to run an execution, each a sentence; `catalogue` has the workflows of its id, `engines` is empty for any."""
    spec = execution.spec
    found = _target_faults(spec.target_resource, protected)
    if spec.workflow_ref is not None:
        found += [*_run_faults(execution, engines), *_parameters_faults(execution), *_catalogue_faults(execution, catalogue)]
    return tuple(found)


def _target_faults(target: str, protected: Collection[str]) -> list[str]:
    if not is_target(target):
        return [f"targetResource {target!r} is not namespace/kind/name"]
    parts = target.split("/")
    kind, scoped = kind_named(parts[-2]), len(parts) == _CLUSTER_SCOPED_PARTS
    if kind is not None and kind.namespaced == scoped:
        form = "kind/name" if not kind.namespaced else "namespace/kind/name"
        return [f"targetResource {target!r} must be {form}: {kind.kind} is {'in a namespace' if kind.namespaced else 'in no namespace'}"]
    namespace = parts[0] if not scoped else parts[1] if kind is not None and kind.kind == "Namespace" else ""
    return [f"targetResource {target!r} is protected: nothing in namespace {namespace} is worked on"] if namespace in protected else []


def _run_faults(execution: WorkflowExecution, engines: Collection[str]) -> list[str]:
    config, ref = execution.spec.execution_config, execution.spec.workflow_ref
    image = ref.container_image if ref else ""
    found = [] if _PINNED.match(image) else [f"containerImage {image!r} is not pinned by digest (repository@sha256:…)"]
    if len(execution.metadata.name) > LABEL_LIMIT:
        found.append(f"the name is longer than {LABEL_LIMIT} characters, which no PipelineRun may be")
    if engines and config.engine not in engines:
        found.append(f"there is no engine {config.engine!r} here; the engines are {', '.join(sorted(engines))}")
    if config.service_account_name and not _ACCOUNT.match(config.service_account_name):
        found.append(f"serviceAccountName {config.service_account_name!r} is no name of a ServiceAccount")
    return found + _timeout_faults(config.timeout)


def _timeout_faults(timeout: str | None) -> list[str]:
    """Refuse no time at all, which Tekton takes for no limit."""
    if timeout is None:
        return []
    try:
        seconds = parse_duration(timeout).total_seconds()
    except ValueError as fault:
        return [f"timeout: {fault}"]
    return [] if 1 <= seconds <= LONGEST_HOURS * 3600 else [f"timeout {timeout} is not between 1s and {LONGEST_HOURS}h"]


def _parameters_faults(execution: WorkflowExecution) -> list[str]:
    given = execution.spec.parameters
    found = [fault for name, value in sorted(given.items()) for fault in _parameter_faults(name, value)]
    if sum(map(len, given.values())) > PARAMETERS_LIMIT:
        found.append(f"the parameters are longer than {PARAMETERS_LIMIT} characters together")
    return found


def _parameter_faults(name: str, value: str) -> list[str]:
    """Refuse what the engine would read as an instruction: `$(…)` in a value is a variable to Tekton and to the kubelet."""
    found = [] if _PARAMETER.match(name) else [f"parameter name {name[:80]!r} is not letters, digits, _ and -"]
    if "$(" in value:
        found.append(f"parameter {name[:80]} contains $(, which would be taken for a variable")
    if "\x00" in value:
        found.append(f"parameter {name[:80]} contains a NUL character")
    return found


def entry(execution: WorkflowExecution, catalogue: Iterable[RemediationWorkflow]) -> RemediationWorkflow | None:
    """Return the catalogue's entry of the workflow in its version; None where the catalogue has none."""
    ref = execution.spec.workflow_ref
    wanted = (ref.workflow_id, ref.version) if ref else ("", "")
    return next((each for each in catalogue if (each.spec.workflow_id, each.spec.version) == wanted), None)


def _catalogue_faults(execution: WorkflowExecution, catalogue: Iterable[RemediationWorkflow]) -> list[str]:
    """Hold an execution against the catalogue: what is not in it (any more) was judged by whoever chose it."""
    known, ref = entry(execution, catalogue), execution.spec.workflow_ref
    if known is None or ref is None:
        return []
    if known.spec.execution.bundle != ref.container_image:
        wrong = f"containerImage is not the catalogue's for {ref.workflow_id} {ref.version}: that is {known.spec.execution.bundle}"
        return [wrong]
    return faults_of(known.spec.parameters, execution.spec.parameters)

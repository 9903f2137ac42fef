"""What Tekton's webhooks do to PipelineRuns on their way in: defaults filled in, and the refusals that a writer can meet, in their words.

A gate of the registry (`registry.Gate`). Faults that only show against the resolved pipeline are not its business.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from kubernaut.localcluster import errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines import plan
from kubernaut.localcluster.pipelines.documents import pipeline_faults
from kubernaut.localcluster.pipelines.status import ended
from kubernaut.localcluster.pipelines.times import duration, written
from kubernaut.localcluster.pipelines.variables import value_of

_STATES = (plan.CANCELLED, plan.CANCELLED_RUN_FINALLY, plan.STOPPED_RUN_FINALLY, plan.PENDING)
_DENIED = 'admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: '
_NOT_MUTATED = 'admission webhook "webhook.pipeline.tekton.dev" denied the request: mutation failed: '
_SOURCES = ("configMap", "emptyDir", "persistentVolumeClaim", "secret", "volumeClaimTemplate", "projected", "csi")
_LONGEST = 63
_TIMES = ("pipeline", "tasks", "finally")


class TektonWebhook:
    """The mutating and the validating webhook."""

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:  # noqa: ARG002 - the seam of a gate
        """Fill in the ServiceAccount and the timeout, and make parameters text; raise ApiError 400."""
        if (kind.group, kind.plural) != ("tekton.dev", "pipelineruns") or not isinstance(obj.get("spec"), dict):
            return
        spec = obj["spec"]
        for param in spec.get("params") or []:
            if param.get("value") is None:
                cause = 'json: error calling MarshalJSON for type *v1.ParamValue: impossible ParamValues.Type: ""'
                raise errors.bad_request(f"{_NOT_MUTATED}cannot create patch for round tripped newBytes: cannot marshal interface: {cause}")
            param["value"] = value_of(param["value"])
        _check_times(spec.get("timeouts") or {})
        spec.setdefault("taskRunTemplate", {}).setdefault("serviceAccountName", "default")
        spec.setdefault("timeouts", {}).setdefault("pipeline", "1h0m0s")

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:  # noqa: ARG002
        """Refuse what Tekton refuses; raise ApiError 400."""
        if (kind.group, kind.plural) != ("tekton.dev", "pipelineruns") or new is None or subresource:
            return
        faults = list(_creation_faults(new) if old is None else _change_faults(new, old))
        if faults:
            raise errors.bad_request(_DENIED + " ".join(faults))


def _check_times(times: Obj) -> None:
    for key in _TIMES:
        text = str(times.get(key, "0")).removeprefix("-")
        try:
            duration(text)
        except ValueError as error:
            raise errors.bad_request(f"{_NOT_MUTATED}cannot decode incoming new object: {error}") from error


def _creation_faults(run: Obj) -> Iterator[str]:
    spec = run["spec"]
    if len(run["metadata"].get("name", "")) > _LONGEST:
        yield f"Invalid resource name: length must be no more than {_LONGEST} characters: metadata.name"
    yield from _reference_faults(spec)
    yield from _repeated([param.get("name", "") for param in spec.get("params") or []], "spec.params")
    yield from _time_faults(spec.get("timeouts") or {})
    yield from _state_faults(spec)
    yield from _workspace_faults(spec.get("workspaces") or [])


def _reference_faults(spec: Obj) -> Iterator[str]:
    ref, own = spec.get("pipelineRef"), spec.get("pipelineSpec")
    if (ref is None) == (own is None):
        yield f"expected exactly one, got {'neither' if ref is None else 'both'}: spec.pipelineRef, spec.pipelineSpec"
    elif own is not None and (fault := pipeline_faults(own)):
        yield (
            fault.replace("spec.", "spec.pipelineSpec.", 1)
            if fault.startswith("missing")
            else fault.replace(": spec.", ": spec.pipelineSpec.")
        )
    elif ref is not None and not (ref.get("name") or ref.get("resolver")):
        yield "missing field(s): spec.pipelineRef.name"
    elif ref is not None:
        yield from _repeated([param.get("name", "") for param in ref.get("params") or []], "spec.pipelineRef")


def _repeated(names: list[str], path: str) -> Iterator[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        yield f"expected exactly one, got both: {', '.join(f'{path}[{name}].name' for name in twice)}"


def _time_faults(times: Obj) -> Iterator[str]:
    negative = [key for key in _TIMES if str(times.get(key, "")).startswith("-")]
    for key in negative:
        yield f"invalid value: {times[key]} should be >= 0: spec.timeouts.{key}"
    whole = duration(times.get("pipeline", "1h0m0s")) if not negative else None
    if not whole:
        return
    parts = {key: duration(times[key]) for key in ("finally", "tasks") if key in times}
    over = [key for key, span in parts.items() if span > whole]
    for key in over:
        yield f"invalid value: {written(parts[key])} should be <= pipeline duration: spec.timeouts.{key}"
    if not over and len(parts) > 1 and sum(parts.values(), start=whole - whole) > whole:
        told = f"{written(parts['tasks'])} + {written(parts['finally'])}"
        yield f"invalid value: {told} should be <= pipeline duration: spec.timeouts.finally, spec.timeouts.tasks"


def _state_faults(spec: Obj) -> Iterator[str]:
    if spec.get("status") and spec["status"] not in _STATES:
        known = f"{', '.join(_STATES[:-1])} or {_STATES[-1]}"
        yield f"invalid value: {spec['status']} should be {known}: spec.status"


def _workspace_faults(workspaces: Iterable[Obj]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for position, entry in enumerate(workspaces):
        name = entry.get("name", "")
        if name in seen:
            told = f'workspace "{name}" provided by pipelinerun more than once, at index {seen[name]} and {position}'
            yield f"{told}: spec.workspaces[{position}].name"
        seen.setdefault(name, position)
        given = [source for source in _SOURCES if source in entry]
        if len(given) != 1:
            paths = ", ".join(f"spec.workspaces[{position}].{source.lower()}" for source in _SOURCES[:5])
            yield f"expected exactly one, got {'both' if given else 'neither'}: {paths}"


def _change_faults(new: Obj, old: Obj) -> Iterator[str]:
    before, after = _settled(old["spec"]), _settled(new["spec"])
    if before == after:
        return
    yield from _state_faults(after)
    started = bool((old.get("status") or {}).get("startTime"))
    if ended(old):
        yield "invalid value: Once the PipelineRun is complete, no updates are allowed: spec"
    elif started and after.get("status") == plan.PENDING:
        yield "invalid value: PipelineRun cannot be Pending after it is started: spec.status"
    elif started and _without_state(before) != _without_state(after):
        yield "invalid value: Once the PipelineRun has started, only status updates are allowed: spec"


def _settled(spec: Obj) -> Obj:
    return {key: value for key, value in spec.items() if value not in (None, "")}


def _without_state(spec: Obj) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "status"}

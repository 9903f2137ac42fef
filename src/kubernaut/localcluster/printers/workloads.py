"""Rows of the kinds that run pods."""

from datetime import datetime

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.printers.base import (
    NONE,
    UNSET,
    Cells,
    Printer,
    age,
    columns,
    containers,
    human,
    label_selector,
    name,
    parse_time,
    selector,
    since,
)


def _deployment(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec["template"]["spec"])
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    counts = [ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [name(obj), *counts, age(obj, now), names, images, label_selector(spec.get("selector"))]


def _replicaset(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers((spec.get("template") or {}).get("spec") or {})
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name(obj), *counts, age(obj, now), names, images, label_selector(spec.get("selector"))]


def _statefulset(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec["template"]["spec"])
    return [name(obj), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}", age(obj, now), names, images]


def _daemonset(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec["template"]["spec"])
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    counts = [status.get(field, 0) for field in fields]
    nodes = ",".join(f"{key}={value}" for key, value in sorted((spec["template"]["spec"].get("nodeSelector") or {}).items())) or NONE
    return [name(obj), *counts, nodes, age(obj, now), names, images, label_selector(spec.get("selector"))]


def _job_word(obj: Obj) -> str:
    held = {row["type"] for row in (obj.get("status") or {}).get("conditions") or [] if row.get("status") == "True"}
    for type_, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if type_ in held:
            return word
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    later = (("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet"))
    return next((word for type_, word in later if type_ in held), "Running")


def _job(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec["template"]["spec"])
    return [
        name(obj),
        _job_word(obj),
        _completions(spec, status),
        _lasted(status, now),
        age(obj, now),
        names,
        images,
        label_selector(spec.get("selector")),
    ]


def _completions(spec: Obj, status: Obj) -> str:
    done, parallel = status.get("succeeded", 0), spec.get("parallelism") or 0
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _lasted(status: Obj, now: datetime) -> str:
    begun, ended = parse_time(status.get("startTime")), parse_time(status.get("completionTime"))
    return human(((ended or now) - begun).total_seconds()) if begun else ""


def _cronjob(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec["jobTemplate"]["spec"]["template"]["spec"])
    last = since(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
    head = [name(obj), spec.get("schedule", ""), spec.get("timeZone") or NONE, str(bool(spec.get("suspend")))]
    return [
        *head,
        len(status.get("active") or []),
        last,
        age(obj, now),
        names,
        images,
        label_selector(spec["jobTemplate"]["spec"].get("selector")),
    ]


def _revision(obj: Obj, now: datetime) -> Cells:
    owner = next((row for row in obj["metadata"].get("ownerReferences") or [] if row.get("controller")), None)
    shown = _owner(owner) if owner else NONE
    return [name(obj), shown, obj.get("revision", 0), age(obj, now)]


def _owner(owner: Obj) -> str:
    group = owner["apiVersion"].rpartition("/")[0]
    return f"{owner['kind'].lower()}{'.' if group else ''}{group}/{owner['name']}"


def _metric(spec: Obj, current: Obj | None) -> str:
    source = spec.get(spec.get("type", "").lower()) or {}
    target, now = source.get("target") or {}, ((current or {}).get(spec.get("type", "").lower()) or {}).get("current") or {}
    if "averageUtilization" in target:
        used = now.get("averageUtilization")
        return f"{source.get('name', '')}: {f'{used}%' if used is not None else '<unknown>'}/{target['averageUtilization']}%"
    wanted = target.get("averageValue") or target.get("value") or UNSET
    suffix = " (avg)" if target.get("averageValue") else ""
    head = f"{source['name']}: " if source.get("name") else ""
    return f"{head}{now.get('averageValue') or now.get('value') or '<unknown>'}/{wanted}{suffix}"


def _hpa(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    target, current = spec["scaleTargetRef"], status.get("currentMetrics") or []
    metrics = [_metric(row, current[index] if index < len(current) else None) for index, row in enumerate(spec.get("metrics") or [])]
    shown = ", ".join(metrics[:2]) + (f" + {len(metrics) - 2} more..." if len(metrics) > 2 else "")  # noqa: PLR2004 - kubectl shows two
    least = UNSET if spec.get("minReplicas") is None else spec["minReplicas"]
    most, running = spec.get("maxReplicas", 0), status.get("currentReplicas", 0)
    return [name(obj), f"{target['kind']}/{target['name']}", shown or NONE, str(least), most, running, age(obj, now)]


def _scale(obj: Obj, now: datetime) -> Cells:
    return [name(obj), (obj.get("spec") or {}).get("replicas", 0), (obj.get("status") or {}).get("replicas", 0), age(obj, now)]


_PODS = "Containers|Images"


def _replication_controller(obj: Obj, now: datetime) -> Cells:
    cells = _replicaset({**obj, "spec": {**obj["spec"], "selector": None}}, now)
    return [*cells[:-1], selector(obj["spec"].get("selector"))]


def _template(obj: Obj, now: datetime) -> Cells:
    template = obj.get("template") or {}
    names, images = containers(template.get("spec") or {})
    return [name(obj), names, images, selector((template.get("metadata") or {}).get("labels")), age(obj, now)]


PRINTERS = {
    "replicationcontrollers": Printer(
        columns("Desired:integer|Current:integer|Ready:integer|Age", f"{_PODS}|Selector"), _replication_controller
    ),
    "podtemplates": Printer(columns("Containers|Images|Pod Labels|Age"), _template),
    "deployments.apps": Printer(columns("Ready|Up-to-date:integer|Available:integer|Age", f"{_PODS}|Selector"), _deployment),
    "replicasets.apps": Printer(columns("Desired:integer|Current:integer|Ready:integer|Age", f"{_PODS}|Selector"), _replicaset),
    "statefulsets.apps": Printer(columns("Ready|Age", _PODS), _statefulset),
    "daemonsets.apps": Printer(
        columns(
            "Desired:integer|Current:integer|Ready:integer|Up-to-date:integer|Available:integer|Node Selector|Age", f"{_PODS}|Selector"
        ),
        _daemonset,
    ),
    "jobs.batch": Printer(columns("Status|Completions|Duration|Age", f"{_PODS}|Selector"), _job),
    "cronjobs.batch": Printer(columns("Schedule|Timezone|Suspend:boolean|Active:integer|Last Schedule|Age", f"{_PODS}|Selector"), _cronjob),
    "controllerrevisions.apps": Printer(columns("Controller|Revision:integer|Age"), _revision),
    "horizontalpodautoscalers.autoscaling": Printer(columns("Reference|Targets|MinPods|MaxPods:integer|Replicas:integer|Age"), _hpa),
    "scales.autoscaling": Printer(columns("Desired:integer|Available:integer|Age"), _scale),
}

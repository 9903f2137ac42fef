"""Rows of the kinds that a cluster is made of: nodes, namespaces, storage, configuration, events."""

from datetime import datetime

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.printers.base import NONE, UNKNOWN, UNSET, Cells, Printer, age, columns, name, since

_ROLE = "node-role.kubernetes.io/"
_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _node(obj: Obj, now: datetime) -> Cells:
    status, info = obj.get("status") or {}, (obj.get("status") or {}).get("nodeInfo") or {}
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(
        {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
        | set(filter(None, [labels.get("kubernetes.io/role")]))
    )
    addresses = {row["type"]: row["address"] for row in reversed(status.get("addresses") or [])}
    where = [addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE)]
    built = [info.get(field) or UNKNOWN for field in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    return [name(obj), _node_word(obj), ",".join(roles) or NONE, age(obj, now), info.get("kubeletVersion", ""), *where, *built]


def _node_word(obj: Obj) -> str:
    ready = next((row for row in (obj.get("status") or {}).get("conditions") or [] if row["type"] == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if (obj.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _namespace(obj: Obj, now: datetime) -> Cells:
    return [name(obj), (obj.get("status") or {}).get("phase", ""), age(obj, now)]


def _configmap(obj: Obj, now: datetime) -> Cells:
    return [name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj, now)]


def _secret(obj: Obj, now: datetime) -> Cells:
    return [name(obj), obj.get("type", ""), len(obj.get("data") or {}), age(obj, now)]


def _serviceaccount(obj: Obj, now: datetime) -> Cells:
    return [name(obj), len(obj.get("secrets") or []), age(obj, now)]


def _event(obj: Obj, now: datetime) -> Cells:
    held, source, series = obj.get("involvedObject") or {}, obj.get("source") or {}, obj.get("series") or {}
    kind = (held.get("kind") or "").lower()
    target = f"{kind}/{held['name']}" if held.get("name") else kind
    first = since(obj.get("firstTimestamp") or obj.get("eventTime"), now)
    last = since(obj["lastTimestamp"], now) if obj.get("lastTimestamp") else first
    if series.get("lastObservedTime"):
        last = since(series["lastObservedTime"], now)
    component = source.get("component") or obj.get("reportingComponent") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    count = series.get("count") or obj.get("count") or 1
    head = [last, obj.get("type", ""), obj.get("reason", ""), target]
    return [
        *head,
        held.get("fieldPath", ""),
        ", ".join(filter(None, [component, host])),
        (obj.get("message") or "").strip(),
        first,
        count,
        name(obj),
    ]


def _new_event(obj: Obj, now: datetime) -> Cells:
    renamed = {
        **obj,
        "involvedObject": obj.get("regarding"),
        "message": obj.get("note"),
        "source": obj.get("deprecatedSource"),
        "firstTimestamp": obj.get("deprecatedFirstTimestamp"),
        "lastTimestamp": obj.get("deprecatedLastTimestamp"),
        "count": obj.get("deprecatedCount"),
        "reportingComponent": obj.get("reportingController"),
    }
    return _event(renamed, now)


def _modes(values: list[str] | None) -> str:
    return ",".join(_MODES.get(value, value) for value in values or [])


def _volume(obj: Obj, now: datetime) -> Cells:
    spec, status, claim = obj["spec"], obj.get("status") or {}, obj["spec"].get("claimRef")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    held = f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""
    head = [
        name(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
    ]
    tail = [spec.get("storageClassName", ""), spec.get("volumeAttributesClassName") or UNSET, status.get("reason", "")]
    return [*head, phase, held, *tail, age(obj, now), spec.get("volumeMode") or UNSET]


def _claim(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = spec.get("volumeName", "")
    held = [(status.get("capacity") or {}).get("storage", ""), _modes(status.get("accessModes"))] if bound else ["", ""]
    tail = [spec.get("storageClassName", ""), spec.get("volumeAttributesClassName") or UNSET]
    return [name(obj), phase, bound, *held, *tail, age(obj, now), spec.get("volumeMode") or UNSET]


def _storageclass(obj: Obj, now: datetime) -> Cells:
    default = (obj["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    shown = f"{name(obj)} (default)" if default else name(obj)
    how = [obj.get("provisioner", ""), obj.get("reclaimPolicy", "Delete"), obj.get("volumeBindingMode", "Immediate")]
    return [shown, *how, bool(obj.get("allowVolumeExpansion")), age(obj, now)]


def _quota(obj: Obj, now: datetime) -> Cells:
    hard, used = (obj.get("status") or {}).get("hard") or {}, (obj.get("status") or {}).get("used") or {}
    told = {key: f"{key}: {used.get(key, '0')}/{limit}" for key, limit in sorted(hard.items())}
    requests = [text for key, text in told.items() if not key.startswith("limits.")]
    limits = [text for key, text in told.items() if key.startswith("limits.")]
    return [name(obj), ", ".join(requests), ", ".join(limits), age(obj, now)]


def _lease(obj: Obj, now: datetime) -> Cells:
    return [name(obj), (obj.get("spec") or {}).get("holderIdentity") or "", age(obj, now)]


def _priority(obj: Obj, now: datetime) -> Cells:
    return [
        name(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        age(obj, now),
        obj.get("preemptionPolicy", "PreemptLowerPriority"),
    ]


_EVENT = columns("Last Seen|Type|Reason|Object", "Subobject|Source") + columns("Message") + columns("", "First Seen|Count|Name")
_EVENT_TOLD = {
    "Last Seen": "@lastTimestamp",
    "Type": "@type",
    "Reason": "@reason",
    "Object": "@involvedObject",
    "Subobject": "@involvedObject.fieldPath",
    "Source": "The component reporting this event. Should be a short machine understandable string.",
    "Message": "@message",
    "First Seen": "@firstTimestamp",
    "Count": "@count",
}
PRINTERS = {
    "nodes": Printer(columns("Status|Roles|Age|Version", "Internal-IP|External-IP|OS-Image|Kernel-Version|Container-Runtime"), _node),
    "namespaces": Printer(columns("Status|Age"), _namespace, {"Status": "The status of the namespace"}),
    "configmaps": Printer(columns("Data|Age"), _configmap, {"Data": "@data"}),
    "secrets": Printer(columns("Type|Data|Age"), _secret, {"Type": "@type", "Data": "@data"}),
    "serviceaccounts": Printer(columns("Secrets|Age"), _serviceaccount),
    "events": Printer(_EVENT, _event, _EVENT_TOLD),
    "events.events.k8s.io": Printer(_EVENT, _new_event),
    "persistentvolumes": Printer(
        columns("Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age", "VolumeMode"), _volume
    ),
    "persistentvolumeclaims": Printer(
        columns("Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age", "VolumeMode"), _claim
    ),
    "storageclasses.storage.k8s.io": Printer(
        columns("Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age"), _storageclass
    ),
    "resourcequotas": Printer(columns("Request|Limit|Age"), _quota),
    "leases.coordination.k8s.io": Printer(columns("Holder|Age"), _lease),
    "priorityclasses.scheduling.k8s.io": Printer(columns("Value:integer|Global-Default:boolean|Age|PreemptionPolicy"), _priority),
}  # fmt: skip

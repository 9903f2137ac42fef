"""What each workflow of the shipped catalogue is for: a fault, its alert, and how it looks when it is cured."""

from collections.abc import Mapping
from dataclasses import dataclass

from kubernaut.api import core
from kubernaut.api.base import Obj
from tests.journey.faults import (
    IMAGE,
    SICK,
    Look,
    Make,
    Place,
    all_ready,
    autoscaler,
    both,
    closed,
    cordoned,
    emptied,
    evicted,
    field_is,
    flapping,
    full,
    gone,
    key_is_back,
    keyless,
    led_right,
    limited,
    memory,
    misled,
    moved,
    new_image,
    none_evicted,
    on_failing_node,
    on_node,
    once_stood,
    opened,
    probed,
    quota,
    restarting,
    scaled_down,
    serving,
    short_of_pods,
    some_evicted,
    strict,
    stuck,
    suspended,
    there,
    unready,
    unscheduled,
    unselected,
    waiting,
    workload,
)


@dataclass(frozen=True)
class Cure:
    """One workflow with what it is for."""

    workflow: str
    make: Make
    broken: Look
    cured: Look
    alert: Mapping[str, str]
    rules: tuple[Obj, ...] = ()
    """What containers do, without the namespace."""
    then: Make | None = None
    """What breaks it, once all is well."""


NODES: tuple[Obj, ...] = (
    {"name": "node-1", "cpu": "16", "memory": "32Gi", "pods": 110},
    {
        "name": "node-cordoned",
        "labels": {"pool": "cordoned"},
        "taints": [{"key": "pool", "value": "cordoned", "effect": "PreferNoSchedule"}],
    },
    {"name": "node-tainted", "labels": {"pool": "tainted"}, "taints": [{"key": "example.com/maintenance", "effect": "NoSchedule"}]},
    {"name": "node-failing", "labels": {"pool": "draining"}, "cpu": "2", "memory": "2Gi"},
    {"name": "node-spare", "labels": {"pool": "draining"}, "cpu": "2", "memory": "2Gi"},
)
_CRASHING = {"alertname": "KubePodCrashLooping", "severity": "critical", "deployment": "web"}
_UNREADY = {"alertname": "KubePodNotReady", "severity": "warning", "deployment": "web"}
_SET = {"alertname": "KubeStatefulSetReplicasMismatch", "severity": "warning", "statefulset": "web"}
_OOM = {"needsMemory": {"memory": "200Mi", "after": 0.4}}
_NO_IMAGE = {"match": {"image": f"{IMAGE}:2"}, "imageMissing": {"why": "notFound"}}
_SICK = {"match": {"labels": SICK}, "probeFails": {"probe": "readiness", "message": "context deadline exceeded"}}

CURES = (
    Cure(
        "increase-memory-conservative",
        workload(container=memory("128Mi")),
        restarting,
        both(limited(core.DEPLOYMENT, "256Mi"), serving()),
        _CRASHING,
        ({"match": {}, **_OOM},),
    ),
    Cure(
        "increase-memory-statefulset",
        workload(core.STATEFUL_SET, container=memory("128Mi")),
        restarting,
        both(limited(core.STATEFUL_SET, "256Mi"), serving(1, core.STATEFUL_SET)),
        _SET,
        ({"match": {}, **_OOM},),
    ),
    Cure(
        "increase-memory-daemonset",
        workload(core.DAEMON_SET, container=memory("128Mi"), **on_node("tainted"), tolerations=[{"operator": "Exists"}]),
        restarting,
        both(limited(core.DAEMON_SET, "256Mi"), serving(1, core.DAEMON_SET)),
        {"alertname": "KubeDaemonSetMisScheduled", "severity": "warning", "daemonset": "web"},
        ({"match": {}, **_OOM},),
    ),
    Cure(
        "increase-cpu-limit",
        workload(container={**probed(), "resources": {"limits": {"cpu": "200m"}}}),
        unready,
        serving(),
        _UNREADY,
        (_SICK,),
        Place.sicken,
    ),
    Cure(
        "rollback-deployment",
        workload(replicas=2),
        waiting("ErrImagePull", "ImagePullBackOff"),
        serving(2),
        _UNREADY,
        (_NO_IMAGE,),
        new_image(),
    ),
    Cure(
        "rollback-statefulset",
        workload(core.STATEFUL_SET, replicas=2),
        waiting("ErrImagePull", "ImagePullBackOff"),
        serving(2, core.STATEFUL_SET),
        _SET,
        (_NO_IMAGE,),
        new_image(core.STATEFUL_SET),
    ),
    Cure(
        "rollback-daemonset",
        workload(core.DAEMON_SET, **on_node("draining")),
        waiting("ErrImagePull", "ImagePullBackOff"),
        serving(2, core.DAEMON_SET),
        {"alertname": "KubeDaemonSetRolloutStuck", "severity": "warning", "daemonset": "web"},
        (_NO_IMAGE,),
        new_image(core.DAEMON_SET),
    ),
    Cure(
        "restart-deployment",
        workload(container=probed(failureThreshold=3)),
        unready,
        serving(),
        _UNREADY,
        (_SICK,),
        once_stood(Place.sicken),
    ),
    Cure(
        "restart-pod",
        workload(replicas=2, container=probed(failureThreshold=3)),
        unready,
        serving(2),
        {"alertname": "KubePodNotReady", "severity": "warning"},
        (_SICK,),
        once_stood(Place.sicken_one),
    ),
    Cure(
        "scale-deployment",
        workload(replicas=2),
        emptied,
        serving(2),
        {"alertname": "ServiceDown", "severity": "critical", "deployment": "web"},
        then=scaled_down,
    ),
    Cure(
        "uncordon-node",
        cordoned,
        unscheduled,
        serving(),
        _UNREADY,
    ),
    Cure(
        "remove-taint",
        workload(**on_node("tainted")),
        unscheduled,
        serving(),
        _UNREADY,
    ),
    Cure(
        "cordon-drain-node",
        on_failing_node,
        serving(),
        moved,
        {"alertname": "KubeNodeReadinessFlapping", "severity": "warning", "node": "node-failing"},
        then=flapping,
    ),
    Cure(
        "raise-resource-quota",
        quota,
        short_of_pods,
        serving(2),
        {"alertname": "KubeDeploymentReplicasMismatch", "severity": "warning", "deployment": "web"},
    ),
    Cure(
        "raise-hpa-maximum",
        autoscaler,
        serving(),
        field_is(core.HORIZONTAL_POD_AUTOSCALER, "web", "spec.maxReplicas", 4),
        {"alertname": "KubeHpaMaxedOut", "severity": "warning", "horizontalpodautoscaler": "web"},
    ),
    Cure(
        "restore-configmap-key",
        keyless,
        waiting("CreateContainerConfigError"),
        key_is_back,
        _UNREADY,
    ),
    Cure(
        "fix-service-selector",
        unselected,
        restarting,
        both(field_is(core.SERVICE, "web", "spec.selector.app", "web"), serving(2)),
        {"alertname": "KubeServiceWithoutEndpoints", "severity": "warning", "service": "web"},
        ({"match": {"container": "client"}, "exits": {"code": 1, "after": 0.2, "until": {"serviceReady": "web"}}},),
    ),
    Cure(
        "fix-service-port",
        misled,
        serving(),
        led_right,
        {"alertname": "ServiceDown", "severity": "warning", "service": "web"},
    ),
    Cure(
        "fix-probe-port",
        workload(container=probed(httpGet={"path": "/", "port": 9090})),
        unready,
        serving(),
        _UNREADY,
        (_SICK,),
        Place.sicken,
    ),
    Cure(
        "relax-probe",
        workload(container=probed()),
        unready,
        serving(),
        _UNREADY,
        (_SICK,),
        Place.sicken,
    ),
    Cure(
        "delete-evicted-pods",
        evicted,
        some_evicted,
        none_evicted,
        {"alertname": "KubePodsEvicted", "severity": "warning", "deployment": "web"},
    ),
    Cure(
        "resume-cronjob",
        suspended,
        there(core.CRON_JOB, "nightly"),
        field_is(core.CRON_JOB, "nightly", "spec.suspend", False),
        {"alertname": "KubeCronJobSuspended", "severity": "warning", "cronjob": "nightly"},
    ),
    Cure(
        "delete-stuck-job",
        stuck,
        field_is(core.JOB, "nightly-1", "status.active", 1),
        gone(core.JOB, "nightly-1"),
        {"alertname": "KubeJobNotCompleted", "severity": "warning", "job_name": "nightly-1"},
        ({"match": {"container": "job"}, "exits": {"code": 0, "after": 80000}},),
    ),
    Cure(
        "allow-ingress",
        closed,
        all_ready,
        opened,
        {"alertname": "UpstreamUnreachable", "severity": "warning", "deployment": "client"},
    ),
    Cure(
        "relax-disruption-budget",
        strict,
        both(serving(), field_is(core.POD_DISRUPTION_BUDGET, "web", "status.currentHealthy", 1)),
        field_is(core.POD_DISRUPTION_BUDGET, "web", "status.disruptionsAllowed", 1),
        {"alertname": "KubePdbBlocksDrain", "severity": "warning", "poddisruptionbudget": "web"},
    ),
    Cure(
        "expand-volume-claim",
        full,
        restarting,
        field_is(core.PERSISTENT_VOLUME_CLAIM, "data", "status.capacity.storage", "10Gi"),
        {"alertname": "KubePersistentVolumeFillingUp", "severity": "critical", "persistentvolumeclaim": "data"},
        ({"match": {}, "exits": {"code": 1, "after": 0.2, "message": "write /data/log: no space left on device"}},),
    ),
)

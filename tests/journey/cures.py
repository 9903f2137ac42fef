"""What each workflow of the shipped catalogue is for: a fault, its alert, and how it looks when it is cured.

Where the rules cannot find a cause yet, a colleague of theirs names it (`told`): what to act on, the action wanted, and the facts measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api import core
from kubernaut.api.base import Obj, ResourceIdentifier
from tests.journey.faults import (
    IMAGE,
    SICK,
    UNREADY_POD,
    Look,
    Make,
    Place,
    at_once,
    autoscaler,
    beside,
    both,
    closed,
    cordoned,
    evicted,
    field_is,
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
    opened,
    probed,
    quota,
    restarting,
    serving,
    short_of_pods,
    sick_pod,
    some_evicted,
    strict,
    stuck,
    stuck_job,
    suspended,
    there,
    unready,
    unscheduled,
    unselected,
    waiting,
    workload,
)


@dataclass(frozen=True)
class Told:
    """What the colleague says."""

    cause: str
    action: str
    target: ResourceIdentifier | None = None
    """What to act on; the workload itself where it is not named."""
    facts: Mapping[str, str] = field(default_factory=dict)
    measured: Callable[[Snapshot], Mapping[str, str]] = lambda _: {}


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
    told: Told | None = None


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
_BACK = {"rollout.revision.previous": "1", "rollout.revision.current": "2"}

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
        Told("CPUThrottled", "IncreaseCPULimits", facts={"container": "web", "cpu.limit.current": "200m", "cpu.limit.proposed": "400m"}),
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
        Told("ImageNotFound", "RollbackStatefulSet", facts=_BACK),
    ),
    Cure(
        "rollback-daemonset",
        workload(core.DAEMON_SET, **on_node("draining")),
        waiting("ErrImagePull", "ImagePullBackOff"),
        serving(2, core.DAEMON_SET),
        {"alertname": "KubeDaemonSetRolloutStuck", "severity": "warning", "daemonset": "web"},
        (_NO_IMAGE,),
        new_image(core.DAEMON_SET),
        Told("ImageNotFound", "RollbackDaemonSet", facts=_BACK),
    ),
    Cure(
        "restart-deployment",
        workload(container=probed()),
        unready,
        serving(),
        _UNREADY,
        (_SICK,),
        Place.sicken,
        Told("ApplicationHangs", "RestartDeployment"),
    ),
    Cure(
        "restart-pod",
        workload(container=probed()),
        unready,
        serving(),
        {"alertname": "KubePodNotReady", "severity": "warning"},
        (_SICK,),
        Place.sicken,
        Told("ApplicationHangs", "RestartPod", UNREADY_POD, measured=sick_pod),
    ),
    Cure(
        "scale-deployment",
        workload(replicas=0),
        at_once,
        serving(2),
        {"alertname": "ServiceDown", "severity": "critical", "deployment": "web"},
        told=Told("ScaledToZero", "ScaleReplicas", facts={"replicas.current": "0", "replicas.proposed": "2"}),
    ),
    Cure(
        "uncordon-node",
        cordoned,
        unscheduled,
        serving(),
        _UNREADY,
        told=Told("NodeCordoned", "UncordonNode", beside(core.NODE, "node-cordoned")),
    ),
    Cure(
        "remove-taint",
        workload(**on_node("tainted")),
        unscheduled,
        serving(),
        _UNREADY,
        told=Told(
            "UntoleratedTaint",
            "RemoveTaint",
            beside(core.NODE, "node-tainted"),
            {"taint.key": "example.com/maintenance", "taint.effect": "NoSchedule"},
        ),
    ),
    Cure(
        "cordon-drain-node",
        on_failing_node,
        serving(),
        moved,
        {"alertname": "KubeNodeReadinessFlapping", "severity": "warning", "node": "node-failing"},
        then=lambda place: place.change(core.NODE, "node-spare", {"unschedulable": None}),
        told=Told("NodeFailing", "CordonDrainNode", beside(core.NODE, "node-failing")),
    ),
    Cure(
        "raise-resource-quota",
        quota,
        short_of_pods,
        serving(2),
        {"alertname": "KubeDeploymentReplicasMismatch", "severity": "warning", "deployment": "web"},
        told=Told(
            "QuotaExceeded",
            "RaiseResourceQuota",
            beside(core.RESOURCE_QUOTA, "pods"),
            {"quota.resource": "pods", "quota.hard.current": "1", "quota.hard.proposed": "4"},
        ),
    ),
    Cure(
        "raise-hpa-maximum",
        autoscaler,
        serving(),
        field_is(core.HORIZONTAL_POD_AUTOSCALER, "web", "spec.maxReplicas", 4),
        {"alertname": "KubeHpaMaxedOut", "severity": "warning", "horizontalpodautoscaler": "web"},
        told=Told(
            "AutoscalerAtMaximum",
            "PatchHPA",
            beside(core.HORIZONTAL_POD_AUTOSCALER, "web"),
            {"hpa.maxReplicas.current": "2", "hpa.maxReplicas.proposed": "4"},
        ),
    ),
    Cure(
        "restore-configmap-key",
        keyless,
        waiting("CreateContainerConfigError"),
        key_is_back,
        _UNREADY,
        told=Told("ConfigMapKeyMissing", "RestoreConfigMapKey", facts={"missing.name": "settings", "missing.key": "mode"}),
    ),
    Cure(
        "fix-service-selector",
        unselected,
        restarting,
        both(field_is(core.SERVICE, "web", "spec.selector.app", "web"), serving(2)),
        {"alertname": "KubeServiceWithoutEndpoints", "severity": "warning", "service": "web"},
        ({"match": {"container": "client"}, "exits": {"code": 1, "after": 0.2, "until": {"serviceReady": "web"}}},),
        told=Told(
            "ServiceSelectsNothing",
            "FixServiceSelector",
            beside(core.SERVICE, "web"),
            {"service.selector.key": "app", "service.selector.current": "wbe", "service.selector.proposed": "web"},
        ),
    ),
    Cure(
        "fix-service-port",
        misled,
        serving(),
        led_right,
        {"alertname": "ServiceDown", "severity": "warning", "service": "web"},
        told=Told(
            "ServicePortWrong", "FixServicePort", beside(core.SERVICE, "web"), {"service.port": "80", "service.targetPort.proposed": "8080"}
        ),
    ),
    Cure(
        "fix-probe-port",
        workload(container=probed(httpGet={"path": "/", "port": 9090})),
        unready,
        serving(),
        _UNREADY,
        (_SICK,),
        Place.sicken,
        Told("ReadinessProbeFailing", "FixProbePort", facts={"container": "web", "probe": "readiness", "probe.port.proposed": "8080"}),
    ),
    Cure(
        "relax-probe",
        workload(container=probed()),
        unready,
        serving(),
        _UNREADY,
        (_SICK,),
        Place.sicken,
        Told(
            "ReadinessProbeFailing", "RelaxProbe", facts={"container": "web", "probe": "readiness", "probe.failureThreshold.proposed": "5"}
        ),
    ),
    Cure(
        "delete-evicted-pods",
        evicted,
        some_evicted,
        none_evicted,
        {"alertname": "KubePodsEvicted", "severity": "warning", "deployment": "web"},
        told=Told("PodsEvicted", "CleanupPods"),
    ),
    Cure(
        "resume-cronjob",
        suspended,
        there(core.CRON_JOB, "nightly"),
        field_is(core.CRON_JOB, "nightly", "spec.suspend", False),
        {"alertname": "KubeCronJobSuspended", "severity": "warning", "cronjob": "nightly"},
        told=Told("CronJobSuspended", "ResumeCronJob"),
    ),
    Cure(
        "delete-stuck-job",
        stuck,
        field_is(core.JOB, "nightly-1", "status.active", 1),
        gone(core.JOB, "nightly-1"),
        {"alertname": "KubeJobNotCompleted", "severity": "warning", "job_name": "nightly-1"},
        ({"match": {"container": "job"}, "exits": {"code": 0, "after": 80000}},),
        told=Told("JobStuck", "DeleteJob", beside(core.JOB, "nightly-1"), measured=stuck_job),
    ),
    Cure(
        "allow-ingress",
        closed,
        serving(),
        opened,
        {"alertname": "UpstreamUnreachable", "severity": "warning", "deployment": "web"},
        told=Told(
            "NetworkPolicyBlocks",
            "FixNetworkPolicy",
            beside(core.NETWORK_POLICY, "deny"),
            {"network.from.namespace": "shop", "network.port": "8080"},
        ),
    ),
    Cure(
        "relax-disruption-budget",
        strict,
        serving(),
        field_is(core.POD_DISRUPTION_BUDGET, "web", "status.disruptionsAllowed", 1),
        {"alertname": "KubePdbBlocksDrain", "severity": "warning", "poddisruptionbudget": "web"},
        told=Told("BudgetAllowsNothing", "RelaxPDB", beside(core.POD_DISRUPTION_BUDGET, "web"), {"pdb.maxUnavailable.proposed": "1"}),
    ),
    Cure(
        "expand-volume-claim",
        full,
        field_is(core.PERSISTENT_VOLUME_CLAIM, "data", "status.phase", "Bound"),
        field_is(core.PERSISTENT_VOLUME_CLAIM, "data", "status.capacity.storage", "10Gi"),
        {"alertname": "KubePersistentVolumeFillingUp", "severity": "critical", "persistentvolumeclaim": "data"},
        told=Told("VolumeFull", "ExpandPersistentVolumeClaim", beside(core.PERSISTENT_VOLUME_CLAIM, "data"), {"pvc.size.proposed": "10Gi"}),
    ),
)

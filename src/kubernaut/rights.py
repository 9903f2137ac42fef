"""The service account of each part, with what that part does in a cluster and no more; read off what the parts say they read."""

from collections.abc import Iterable, Sequence
from typing import Final

from kubernaut.api import approval_rules, core, gitops
from kubernaut.api.base import GROUP, Kind, Obj
from kubernaut.api.execution import RESTORABLE

_RBAC: Final = "rbac.authorization.k8s.io"
READ: Final = ("get", "list", "watch")
HOLMESGPT: Final = "holmesgpt"
"""Not a part of ours: the program that the analysis asks, with an account that can change nothing."""
DATASTORAGE: Final = "datastorage"
"""It keeps records and touches nothing of a cluster: it asks who calls, and elects who prunes."""
OWN: Final = {
    "gateway": (),
    "orchestration": ("remediationrequests", "remediationbrakes"),
    "processing": ("remediationprocessings",),
    "analysis": ("aianalyses", "aiapprovalrequests", "remediationworkflows"),
    "workflow": ("workflowexecutions",),
    "execution": ("kubernetesexecutions",),
    "verification": ("effectivenessassessments",),
    "notification": ("notificationrequests",),
}
"""The kinds that each part walks through their phases; every part may read every kind of ours."""
_MADE: Final = {
    "gateway": ("remediationrequests",),
    "orchestration": (
        "remediationbrakes",
        "remediationprocessings",
        "aianalyses",
        "workflowexecutions",
        "kubernetesexecutions",
        "effectivenessassessments",
        "notificationrequests",
    ),
    "analysis": ("aiapprovalrequests", "kubernetesexecutions"),
    "workflow": ("kubernetesexecutions", "workflowexecutions"),
    "notification": ("notificationrequests",),
}
"""What each part creates, and takes back."""
_TOOLS: Final = (gitops.ARGO_APPLICATION, gitops.FLUX_KUSTOMIZATION, gitops.FLUX_HELM_RELEASE)


def part_accounts(namespace: str) -> list[Obj]:
    """Return service accounts, roles and bindings of the parts in our namespace."""
    accounts = [*((part, rights(part)) for part in OWN), (DATASTORAGE, [*_JUDGING])]
    return [_leases(namespace), *(obj for part, rules in accounts for obj in _account(part, rules, namespace)), *_holmesgpt(namespace)]


def account_of(part: str) -> str:
    """Return the name of a part's service account, which is also that of its ClusterRole."""
    return f"kubernaut-{part}"


def rights(part: str) -> list[Obj]:
    """Return the rules of a part's ClusterRole."""
    own, made = OWN[part], _MADE.get(part, ())
    rules = [_rule(GROUP, ["*"], READ), _rule("", ["events"], ["create", "patch"])]
    if own:
        rules += [_rule(GROUP, own, ["patch", "update", "delete"]), _rule(GROUP, [f"{each}/status" for each in own], ["patch", "update"])]
        rules.append(_rule(GROUP, [f"{each}/finalizers" for each in own], ["update"]))
    if made:
        rules.append(_rule(GROUP, made, ["create", "patch", "delete"]))
    return [*rules, *_MORE[part]()]


def _gateway() -> list[Obj]:
    from kubernaut.gateway.owners import FOLLOWED  # noqa: PLC0415  (a command loads only what it runs)

    return [
        _rule(GROUP, ["remediationrequests/status"], ["patch"]),
        *reading((*FOLLOWED, core.NAMESPACE, core.EVENT), READ),
        *reading((core.NODE, *_ASKED), ("get",)),
        *_JUDGING,
    ]


def _orchestration() -> list[Obj]:
    return [
        *reading((core.NAMESPACE, core.POD, core.JOB), READ),
        *reading((*_WORKLOADS, core.CRON_JOB, core.NODE, core.CONFIG_MAP, *_ASKED, *_TOOLS), ("get",)),
        _rule(GROUP, ["aiapprovalrequests/status"], ["patch", approval_rules.SETTLE]),
    ]


def _processing() -> list[Obj]:
    from kubernaut.processing.enrich import READ as KINDS  # noqa: PLC0415  (a command loads only what it runs)

    return [*reading(KINDS, READ), *reading((*_TOOLS, core.CONFIG_MAP), ("get",))]


def _analysis() -> list[Obj]:
    from kubernaut.analysis.collect import indexes  # noqa: PLC0415  (a command loads only what it runs)

    logs = _rule("", ["pods/log"], ["get"])
    return [*reading(indexes(), READ), logs, _rule(GROUP, ["aiapprovalrequests/status"], [approval_rules.SETTLE])]


def _workflow() -> list[Obj]:
    runs = ["create", *READ, "patch", "delete"]
    return [
        _rule("tekton.dev", ["pipelineruns"], runs),
        _rule("batch", ["jobs"], runs),
        *reading((core.TASK_RUN, core.POD, core.CONFIG_MAP), READ),
        *reading((core.NAMESPACE,), ("get",)),
        *reading(RESTORABLE, ("get",)),
    ]


def _execution() -> list[Obj]:
    from kubernaut.execution.accounts import account_name  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.execution.actions.registry import built  # noqa: PLC0415

    names = [account_name(action.name) for action in built()]
    looked_at = (core.POD_DISRUPTION_BUDGET, core.HORIZONTAL_POD_AUTOSCALER, core.RESOURCE_QUOTA, core.NAMESPACE)
    return [
        {**_rule("", ["serviceaccounts"], ["impersonate"]), "resourceNames": names},
        *reading((*_WORKLOADS, core.POD, core.NODE, core.JOB, core.CRON_JOB, core.SERVICE, core.CONFIG_MAP, *looked_at), READ),
        *reading(_TOOLS, ("get",)),
    ]


def _verification() -> list[Obj]:
    from kubernaut.verification.reconciler import built  # noqa: PLC0415  (a command loads only what it runs)

    kinds = [kind for probe in built() for kind in probe.reads() if isinstance(kind, Kind)]
    return reading(kinds, READ)


def _notification() -> list[Obj]:
    """Return what notification may besides; to answer as a person it needs that person's own role too (`impersonate:user-info`)."""
    as_person = "impersonate-on:user-info"
    return [
        _rule(GROUP, ["aiapprovalrequests"], [f"{as_person}:get"]),
        _rule(GROUP, ["aiapprovalrequests/status"], [f"{as_person}:patch"]),
        _rule("authentication.k8s.io", ["selfsubjectreviews"], [f"{as_person}:create"]),
        *reading((core.NAMESPACE,), ("get",)),
        *reading((core.CONFIG_MAP,), READ),
        *_JUDGING,
    ]


_WORKLOADS: Final = (core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.REPLICA_SET)
_ASKED: Final = (core.SERVICE, core.PERSISTENT_VOLUME_CLAIM, core.HORIZONTAL_POD_AUTOSCALER, core.POD_DISRUPTION_BUDGET)
_MORE: Final = {
    "gateway": _gateway,
    "orchestration": _orchestration,
    "processing": _processing,
    "analysis": _analysis,
    "workflow": _workflow,
    "execution": _execution,
    "verification": _verification,
    "notification": _notification,
}


def reading(kinds: Iterable[Kind], verbs: Sequence[str]) -> list[Obj]:
    """Return the rules that allow verbs on kinds, one an API group."""
    plurals: dict[str, list[str]] = {}
    for kind in dict.fromkeys(kinds):
        plurals.setdefault(kind.group, []).append(kind.plural)
    return [_rule(group, names, verbs) for group, names in plurals.items()]


def _account(part: str, rules: list[Obj], namespace: str) -> list[Obj]:
    name = account_of(part)
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        _binding("ClusterRoleBinding", {"name": name}, {"kind": "ClusterRole", "name": name}, name, namespace),
        _binding("RoleBinding", {"name": name, "namespace": namespace}, {"kind": "Role", "name": "kubernaut-leases"}, name, namespace),
    ]


def _holmesgpt(namespace: str) -> list[Obj]:
    """Return the account of HolmesGPT's kubectl: it reads what the analysis reads, and logs, but no ConfigMap, and never a Secret."""
    from kubernaut.analysis.collect import indexes  # noqa: PLC0415  (a command loads only what it runs)

    rules = [*reading((kind for kind in indexes() if kind != core.CONFIG_MAP), READ), _rule("", ["pods/log"], ["get"])]
    name = account_of(HOLMESGPT)
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        _binding("ClusterRoleBinding", {"name": name}, {"kind": "ClusterRole", "name": name}, name, namespace),
    ]


def _leases(namespace: str) -> Obj:
    """Return the role for claims, locks and elections, all of which are Leases in our namespace."""
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    metadata = {"name": "kubernaut-leases", "namespace": namespace}
    return {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [_rule("coordination.k8s.io", ["leases"], verbs)]}


def _binding(kind: str, metadata: Obj, role: Obj, account: str, namespace: str) -> Obj:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, **role},
        "subjects": [subject],
    }


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> Obj:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


_JUDGING: Final = (
    _rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
    _rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
)
"""What a service needs that asks callers for a token."""

"""What must be in a cluster before the parts run: definitions, namespaces, identities, and the rules of approval."""

from kubernaut.api.base import GROUP, VERSION, Obj
from kubernaut.api.crd import crd
from kubernaut.api.kinds import ALL

SYSTEM_NAMESPACE = "kubernaut-system"
WORKFLOW_NAMESPACE = "kubernaut-workflows"
RUNNER = "kubernaut-workflow-runner"
APPROVAL_POLICY = "kubernaut-approval-decisions"
_DECIDED = "has({0}.status) && has({0}.status.decision)"


def definitions() -> list[Obj]:
    """Return the CustomResourceDefinitions of all kinds of ours."""
    return [crd(model) for model in ALL]


def namespaces() -> list[Obj]:
    """Return the namespaces that the parts use."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (SYSTEM_NAMESPACE, WORKFLOW_NAMESPACE)]


def approval_policy() -> list[Obj]:
    """Return the admission policy that makes a decision the caller's own, and final."""
    decided, was_decided = _DECIDED.format("object"), _DECIDED.format("oldObject")
    by_caller = "object.status.decidedBy == request.userInfo.username"
    expired = "(object.status.decision == 'Expired' && object.status.decidedBy == 'system')"
    same = "object.status.decision == oldObject.status.decision && object.status.decidedBy == oldObject.status.decidedBy"
    policy: Obj = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": APPROVAL_POLICY},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["aiapprovalrequests/status"],
                        "scope": "*",
                    }
                ]
            },
            "validations": [
                {
                    "expression": f"!({decided}) || ({was_decided}) || (has(object.status.decidedBy) && ({by_caller} || {expired}))",
                    "message": "decidedBy must be your own user name: nobody decides for somebody else",
                    "reason": "Forbidden",
                },
                {
                    "expression": f"!({was_decided}) || (({decided}) && {same})",
                    "message": "the decision has been made and is final",
                    "reason": "Forbidden",
                },
            ],
        },
    }
    binding: Obj = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": APPROVAL_POLICY},
        "spec": {"policyName": APPROVAL_POLICY, "validationActions": ["Deny"]},
    }
    return [policy, binding]


def identities() -> list[Obj]:
    """Return the runner's service account with what workflows may do, and the role of people who approve."""
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": RUNNER, "namespace": WORKFLOW_NAMESPACE}},
        _cluster_role(
            RUNNER,
            [
                _rule(["apps"], ["deployments", "statefulsets", "daemonsets", "replicasets"], ["get", "list", "watch", "patch", "update"]),
                _rule(["apps"], ["deployments/scale", "statefulsets/scale"], ["get", "patch", "update"]),
                _rule([""], ["pods"], ["get", "list", "watch", "delete"]),
                _rule([""], ["nodes"], ["get", "list", "patch"]),
                _rule([""], ["configmaps"], ["get", "list"]),
                _rule([""], ["events"], ["create"]),
            ],
        ),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": RUNNER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": RUNNER},
            "subjects": [{"kind": "ServiceAccount", "name": RUNNER, "namespace": WORKFLOW_NAMESPACE}],
        },
        _cluster_role(
            "kubernaut-approver",
            [
                _rule([GROUP], ["*"], ["get", "list", "watch"]),
                _rule([GROUP], ["aiapprovalrequests/status"], ["patch", "update"]),
            ],
        ),
    ]


def everything() -> list[Obj]:
    """Return all of it, in the order it must be applied."""
    return [*definitions(), *namespaces(), *identities(), *approval_policy()]


def _cluster_role(name: str, rules: list[Obj]) -> Obj:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Obj:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}

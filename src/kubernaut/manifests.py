"""What must be in a cluster before the parts run: definitions, namespaces, identities, and the rules of approval."""

from collections.abc import Mapping, Sequence

from kubernaut.api import approval_rules, brake_rules, cancel_rules, clearance_rules, undo_rules
from kubernaut.api.base import GROUP, VERSION, Obj
from kubernaut.api.crd import crd
from kubernaut.api.kinds import ALL

SYSTEM_NAMESPACE = "kubernaut-system"
WORKFLOW_NAMESPACE = "kubernaut-workflows"
RUNNER = "kubernaut-workflow-runner"
APPROVAL_POLICY = "kubernaut-approval-decisions"
BRAKE_POLICY = "kubernaut-brake"
UNDO_POLICY = "kubernaut-undo"
CANCEL_POLICY = "kubernaut-cancellations"
CLEARANCE_POLICY = "kubernaut-clearances"
APPROVER = "kubernaut-approver"
OPERATOR = "kubernaut-operator"
APPROVAL_KEEPER = "kubernaut-approval-keeper"


def definitions() -> list[Obj]:
    """Return the CustomResourceDefinitions of all kinds of ours."""
    return [crd(model) for model in ALL]


def namespaces() -> list[Obj]:
    """Return the namespaces that the parts use."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (SYSTEM_NAMESPACE, WORKFLOW_NAMESPACE)]


def approval_policy() -> list[Obj]:
    """Return the admission policy that makes a decision the caller's own, final, and that of the people whom the approval policy names."""
    return _admission(APPROVAL_POLICY, ["UPDATE"], ["aiapprovalrequests/status"], approval_rules.VARIABLES, approval_rules.RULES)


def brake_policy() -> list[Obj]:
    """Return the admission policy that puts on record, under their own name, who pauses and who resumes."""
    return _admission(BRAKE_POLICY, ["CREATE", "UPDATE", "DELETE"], ["remediationbrakes"], brake_rules.VARIABLES, brake_rules.RULES)


def cancel_policy() -> list[Obj]:
    """Return the admission policy that puts on record, under their own name, who cancels a case."""
    return _admission(CANCEL_POLICY, ["CREATE", "UPDATE"], ["remediationrequests"], cancel_rules.VARIABLES, cancel_rules.RULES)


def clearance_policy() -> list[Obj]:
    """Return the admission policy that puts on record, under their own name, who clears a target after a run that failed under way."""
    return _admission(CLEARANCE_POLICY, ["UPDATE"], ["workflowexecutions/status"], clearance_rules.VARIABLES, clearance_rules.RULES)


def undo_policy() -> list[Obj]:
    """Return the admission policy that puts on record, under their own name, who asks for an undo."""
    return _admission(
        UNDO_POLICY, ["CREATE", "UPDATE"], ["kubernetesexecutions", "workflowexecutions"], undo_rules.VARIABLES, undo_rules.RULES
    )


def _admission(
    name: str, operations: list[str], resources: list[str], variables: Mapping[str, str], rules: Sequence[approval_rules.Admission]
) -> list[Obj]:
    """Return a ValidatingAdmissionPolicy over resources of ours, and its binding."""
    where: Obj = {"apiGroups": [GROUP], "apiVersions": [VERSION], "operations": operations, "resources": resources, "scope": "*"}
    policy: Obj = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [where]},
            "variables": [{"name": key, "expression": _joined(text)} for key, text in variables.items()],
            "validations": [_validation(rule) for rule in rules],
        },
    }
    binding: Obj = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]


def _validation(rule: approval_rules.Admission) -> Obj:
    told = {"messageExpression": _joined(rule.sentence)} if rule.sentence else {}
    return {"expression": _joined(rule.expression), "message": rule.message, **told, "reason": "Forbidden"}


def _joined(expression: str) -> str:
    return " ".join(expression.split())


def identities() -> list[Obj]:
    """Return the runner's service account with what workflows may do, and the roles of people and of who keeps the books."""
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
            APPROVER,
            [
                _rule([GROUP], ["*"], ["get", "list", "watch"]),
                _rule([GROUP], ["aiapprovalrequests/status"], ["patch", "update"]),
            ],
        ),
        _cluster_role(
            OPERATOR,
            [
                _rule([GROUP], ["*"], ["get", "list", "watch"]),
                _rule([GROUP], ["remediationbrakes"], ["create", "patch", "update"]),
                _rule([GROUP], ["remediationrequests"], ["patch", "update"]),
                _rule([GROUP], ["kubernetesexecutions", "workflowexecutions"], ["patch", "update"]),
                _rule([GROUP], ["workflowexecutions/status"], ["patch", "update"]),
            ],
        ),
        _cluster_role(APPROVAL_KEEPER, [_rule([GROUP], ["aiapprovalrequests/status"], ["patch", "update", approval_rules.SETTLE])]),
    ]


def action_accounts() -> list[Obj]:
    """Return each action's service account with the rights that it may ever use, and the role that allows to act as them."""
    from kubernaut.execution.accounts import accounts  # noqa: PLC0415  (a command loads only what it runs)

    return accounts(SYSTEM_NAMESPACE)


def part_accounts() -> list[Obj]:
    """Return the service account of each part with the rights that it needs."""
    from kubernaut.rights import part_accounts as accounts  # noqa: PLC0415  (a command loads only what it runs)

    return accounts(SYSTEM_NAMESPACE)


def everything() -> list[Obj]:
    """Return all of it, in the order it must be applied."""
    policies = (*approval_policy(), *brake_policy(), *cancel_policy(), *clearance_policy(), *undo_policy())
    return [*definitions(), *namespaces(), *identities(), *part_accounts(), *action_accounts(), *policies]


def _cluster_role(name: str, rules: list[Obj]) -> Obj:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Obj:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}

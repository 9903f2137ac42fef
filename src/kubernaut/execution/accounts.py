"""The service account of each action, with the rights that it may ever use and no others, and the right to act as all of them."""

from collections.abc import Sequence
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.execution.actions.base import Access
from kubernaut.execution.actions.registry import built

IMPERSONATOR: Final = "kubernaut-execution-impersonator"
"""The ClusterRole of whoever runs the execution stage."""
_RBAC: Final = "rbac.authorization.k8s.io"


def accounts(namespace: str) -> list[Obj]:
    """Return service accounts, roles and bindings of the built-in actions, and the role that allows to impersonate them."""
    rights = {account_name(action.name): action.rights for action in built()}
    impersonate = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"], "resourceNames": list(rights)}
    return [*(obj for name, wanted in rights.items() for obj in _account(namespace, name, wanted)), _role(IMPERSONATOR, [impersonate])]


def account_name(action: str) -> str:
    """Return the name of an action's service account."""
    return f"{action.replace('_', '-')}-sa"


def _account(namespace: str, name: str, rights: Sequence[Access]) -> list[Obj]:
    """Return an action's service account, its role and their binding; an action that needs no right has no role."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    verbs: dict[tuple[str, str], list[str]] = {}
    for each in dict.fromkeys(rights):
        verbs.setdefault((each.kind.group, each.resource), []).append(each.verb)
    rules = [{"apiGroups": [group], "resources": [resource], "verbs": allowed} for (group, resource), allowed in verbs.items()]
    role = f"kubernaut-action-{name}"
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    return [account, _role(role, rules), binding] if rules else [account]


def _role(name: str, rules: list[Obj]) -> Obj:
    return {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}

"""Rows of the kinds that say who may do what."""

from datetime import datetime

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.printers.base import NONE, UNSET, Cells, Printer, age, columns, name


def _budget(obj: Obj, now: datetime) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    least, most = spec.get("minAvailable", "N/A"), spec.get("maxUnavailable", "N/A")
    return [name(obj), str(least), str(most), status.get("disruptionsAllowed", 0), age(obj, now)]


def _role(obj: Obj, _now: datetime) -> Cells:
    return [name(obj), obj["metadata"].get("creationTimestamp", "")]


def _binding(obj: Obj, now: datetime) -> Cells:
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for row in obj.get("subjects") or []:
        shown = f"{row.get('namespace', '')}/{row['name']}" if row["kind"] == "ServiceAccount" else row["name"]
        by_kind.setdefault(row["kind"], []).append(shown)
    target = obj.get("roleRef") or {}
    told = [", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name(obj), f"{target.get('kind')}/{target.get('name')}", age(obj, now), *told]


def _crd(obj: Obj, _now: datetime) -> Cells:
    return [name(obj), obj["metadata"].get("creationTimestamp", "")]


def _hooks(obj: Obj, now: datetime) -> Cells:
    return [name(obj), len(obj.get("webhooks") or []), age(obj, now)]


def _policy(obj: Obj, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    param = spec.get("paramKind")
    shown = f"{param['apiVersion']}/{param['kind']}" if param else UNSET
    return [name(obj), len(spec.get("validations") or []), shown, age(obj, now)]


def _policy_binding(obj: Obj, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    param = spec.get("paramRef")
    if not param:
        shown = UNSET
    elif param.get("name"):
        shown = f"{param['namespace']}/{param['name']}" if param.get("namespace") else f"*/{param['name']}"
    else:
        shown = NONE
    return [name(obj), spec.get("policyName", ""), shown, age(obj, now)]


_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
_BINDING = Printer(columns("Role|Age", "Users|Groups|ServiceAccounts"), _binding)
PRINTERS = {
    "poddisruptionbudgets.policy": Printer(columns("Min Available|Max Unavailable|Allowed Disruptions:integer|Age"), _budget),
    f"roles.{_RBAC}": Printer(columns("Created At:date"), _role),
    f"clusterroles.{_RBAC}": Printer(columns("Created At:date"), _role),
    f"rolebindings.{_RBAC}": _BINDING,
    f"clusterrolebindings.{_RBAC}": _BINDING,
    "customresourcedefinitions.apiextensions.k8s.io": Printer(columns("Created At:date"), _crd),
    f"validatingwebhookconfigurations.{_ADMISSION}": Printer(columns("Webhooks:integer|Age"), _hooks),
    f"mutatingwebhookconfigurations.{_ADMISSION}": Printer(columns("Webhooks:integer|Age"), _hooks),
    f"validatingadmissionpolicies.{_ADMISSION}": Printer(columns("Validations:integer|ParamKind|Age"), _policy),
    f"validatingadmissionpolicybindings.{_ADMISSION}": Printer(columns("PolicyName|ParamRef|Age"), _policy_binding),
}

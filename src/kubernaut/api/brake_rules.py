"""Who may move the brake, and under which name, in CEL: the API server enforces it at every write."""

from typing import Final

from kubernaut.api.approval_rules import Admission

NAMESPACE_CONTROLLER: Final = "system:serviceaccount:kube-system:namespace-controller"
"""Who empties a namespace that is being deleted."""

VARIABLES: Final[dict[str, str]] = {
    "caller": "request.userInfo.username",
    "before": "request.operation == 'CREATE' ? [] : oldObject.?spec.?pauses.orValue([])",
    "after": "request.operation == 'DELETE' ? [] : object.?spec.?pauses.orValue([])",
    "changedBy": "request.operation == 'DELETE' ? '' : object.?spec.?changedBy.orValue('')",
    "wasChangedBy": "request.operation == 'CREATE' ? '' : oldObject.?spec.?changedBy.orValue('')",
    "moved": "variables.before.exists(p, !(p in variables.after)) || variables.after.exists(p, !(p in variables.before))",
}
"""What the rules are written with, in their order: one may use those before it."""

RULES: Final[tuple[Admission, ...]] = (
    Admission(
        "variables.after.all(p, p in variables.before || p.by == variables.caller)",
        "by must be your own user name: nobody pauses for somebody else",
    ),
    Admission(
        "request.operation == 'DELETE' || !variables.moved || variables.changedBy == variables.caller",
        "changedBy must be your own user name: who pauses or resumes is on record",
    ),
    Admission(
        "request.operation == 'DELETE' || variables.changedBy == variables.wasChangedBy || variables.changedBy == variables.caller",
        "changedBy must be your own user name",
    ),
    Admission(
        f"request.operation != 'DELETE' || variables.before.size() == 0 || variables.caller == '{NAMESPACE_CONTROLLER}'",
        "work is paused: resume it before the brake is deleted, so that it is on record who did",
    ),
)
"""They hold together."""

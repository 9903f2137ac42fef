"""Who may ask for an undo, and under which name, in CEL: the API server enforces it at every write of what can be undone."""

from typing import Final

from kubernaut.api.approval_rules import Admission

VARIABLES: Final[dict[str, str]] = {
    "before": "request.operation == 'CREATE' ? {} : oldObject.spec.?undo.orValue({})",
    "after": "object.spec.?undo.orValue({})",
    "asked": "variables.before != variables.after",
}
"""What the rules are written with, in their order: one may use those before it."""

RULES: Final[tuple[Admission, ...]] = (
    Admission(
        "!variables.asked || variables.after.?requestedBy.orValue('') == request.userInfo.username",
        "undo.requestedBy must be your own user name: nobody undoes for somebody else",
    ),
    Admission(
        """
        !variables.asked || variables.before.?requestedAt.orValue('') != variables.after.?requestedAt.orValue('')
        """,
        "undo.requestedAt must be the time of your request: another request is another time",
    ),
)
"""They hold together."""

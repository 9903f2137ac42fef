"""Who may cancel a case, and under which name, in CEL: the API server enforces it at every write of a RemediationRequest.

The annotation says who and why, as `name: reason`. Who may write the status of remediations (our own account, which cancels what a
pause says, and any cluster administrator) is believed; everybody else signs with their own user name.
"""

from typing import Final

from kubernaut.api.approval_rules import Admission
from kubernaut.api.base import CANCEL_ANNOTATION

_SAID: Final = f".metadata.?annotations[?'{CANCEL_ANNOTATION}'].orValue('')"

VARIABLES: Final[dict[str, str]] = {
    "before": f"request.operation == 'CREATE' ? '' : oldObject{_SAID}",
    "after": f"object{_SAID}",
    "ours": """
        authorizer.group('kubernaut.ai').resource('remediationrequests').subresource('status')
            .namespace(object.metadata.namespace).check('patch').allowed()
    """,
    "changed": "variables.before != variables.after",
}
"""What the rules are written with, in their order: one may use those before it."""

RULES: Final[tuple[Admission, ...]] = (
    Admission(
        "!variables.changed || variables.ours || variables.after.startsWith(request.userInfo.username + ': ')",
        f"{CANCEL_ANNOTATION} must be your own user name, a colon and why: nobody cancels for somebody else",
    ),
    Admission(
        "!variables.changed || variables.ours || variables.before == ''",
        "the case is being cancelled, and that stays on record",
    ),
)
"""They hold together."""

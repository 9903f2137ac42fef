"""What an approval message tells of the change and of who decides."""

import pytest

from kubernaut.orchestration.question import UNKNOWN, change_told, how_to_decide, message_name
from tests.questions import question as asked

RR = "remediation-abcde12345"
CHANGE = {"stepNumber": 1, "action": "increase_resources", "says": "more memory", "diff": "-  memory: 128Mi\n+  memory: 256Mi\n"}


def question(**spec):
    return asked(**{"whatWillChange": "container app gets memory 256Mi", "requiredBy": "2026-01-01T12:15:00Z"} | spec)


def test_the_difference_stands_below_the_words():
    told = change_told(question(plannedChanges=[CHANGE]))
    assert told == "container app gets memory 256Mi\n```diff\n-  memory: 128Mi\n+  memory: 256Mi\n```"


def test_objects_pods_and_undo_are_told():
    pods = [f"shop/checkout-{number}" for number in range(6)]
    target = {"kind": "Deployment", "name": "checkout", "namespace": "shop"}
    told = change_told(question(objectsTouched=[target], podsTouched=pods, podsTouchedCount=8, undo="exact")).splitlines()
    assert told[1:] == [
        "- Objects: `shop/deployment/checkout`",
        "- Pods replaced: `checkout-0`, `checkout-1`, `checkout-2`, `checkout-3`, `checkout-4` and 3 more",
        "- Undo: exact",
    ]


def test_a_long_difference_is_cut_and_says_where_the_rest_is():
    told = change_told(question(plannedChanges=[CHANGE | {"diff": "+ line\n" * 2000}]))
    assert len(told) < 6_200
    assert "the rest: `kubectl describe aar approval-x`" in told


@pytest.mark.parametrize("missing", [None, question(whatWillChange="")], ids=["no question", "nothing told"])
def test_what_cannot_be_previewed_is_said_so(missing):
    assert change_told(missing) == UNKNOWN


def test_where_several_must_agree_it_says_so_and_offers_no_command_for_one():
    several = question(policyEvaluation={"minApprovers": 2, "approverGroups": ["payments", "platform-admin"]})
    told = how_to_decide("approval-x", "kubernaut-system", several)
    assert told.splitlines()[:2] == [
        "- 2 different people must approve; one no is enough",
        "- Members of payments or platform-admin decide",
    ]
    assert "kubectl patch" not in told
    assert "2026-01-01 12:15:00 UTC" in told


@pytest.mark.parametrize(
    ("question_name", "name"),
    [
        (f"approval-{RR}-analysis", f"{RR}-approval-notification"),
        (f"approval-{RR}-analysis-r2", f"{RR}-approval-notification-r2"),
        (f"approval-{RR}-analysis-2", f"{RR}-approval-notification-2"),
        (f"approval-{RR}-analysis-2-r3", f"{RR}-approval-notification-2-r3"),
        ("approval-by-hand", f"{RR}-approval-notification"),
    ],
)
def test_each_question_has_a_message_of_its_own(question_name, name):
    assert message_name(RR, question_name) == name

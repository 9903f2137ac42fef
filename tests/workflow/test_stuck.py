"""Why a run that goes on does not move, as recorded from a real Tekton."""

import pytest

from kubernaut.workflow.stuck import note
from tests.workflow.recorded import recording


def notes(case):
    """Return all that is told while the run of a case goes on, in order."""
    run, tasks, told = {}, {}, []
    for event in recording(case).events:
        if event.kind == "TaskRun":
            tasks[event.name] = event.obj
        else:
            run = event.obj
        if run and event.type != "DELETED":
            told.append(note(run, tasks))
    return list(dict.fromkeys(filter(None, told)))


@pytest.mark.parametrize(
    ("case", "part"),
    [
        ("pending", "somebody holds it back"),
        ("unschedulable", "task first waits for a node: 0/1 nodes are available: 1 node(s) didn't match"),
        ("workspace-pvc-missing", 'task ws waits for a node: 0/1 nodes are available: persistentvolumeclaim \\"nosuch\\" not found'),
        ("image-pull-failure", "the image of task pull cannot be pulled so far"),
        ("resolvers-down", "Tekton fetches the workflow's bundle"),
        ("retry", "is tried again"),
        ("cancelled-run-finally", "it was cancelled, and its finally tasks run"),
        ("tasks-timeout", "it ran out of time, and its finally tasks run"),
        ("deleted-finalizer", "somebody is deleting it"),
    ],
)
def test_what_is_told_under_way(case, part):
    assert any(part in told for told in notes(case)), notes(case)


def test_a_run_that_moves_needs_no_words():
    assert [told for told in notes("success") if "fetches" not in told] == []

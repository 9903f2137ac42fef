"""Binding a pod to its node: what is checked, and what it leaves alone."""

import pytest

from tests.localcluster.http import PODS, pod


def binding(name="p", **fields):
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}} | fields


async def test_a_binding_is_no_change_of_what_was_asked_for(http):
    await http.post(PODS, pod())
    assert (await http.post(f"{PODS}/p/binding", binding())).status == 201
    bound = (await http.get(f"{PODS}/p")).body
    assert (bound["spec"]["nodeName"], bound["metadata"]["generation"]) == ("n1", 1)
    scheduled = next(row for row in bound["status"]["conditions"] if row["type"] == "PodScheduled")
    assert (scheduled["status"], scheduled["observedGeneration"]) == ("True", 1)
    refused = await http.post(f"{PODS}/p/binding", binding())
    assert refused.message == 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (binding("other"), 400, "name in URL does not match name in Binding object"),
        (binding(target={"kind": "Pod", "name": "x"}), 500, 'target.kind: Unsupported value: "Pod"'),
        (binding(target={"kind": "Node"}), 500, "target.name: Required value"),
        (binding(metadata={"name": "p", "uid": "another"}), 409, "Precondition failed: UID in precondition: another"),
    ],
    ids=["name", "kind", "nobody", "uid"],
)
async def test_a_binding_at_fault_is_refused(http, body, status, words):
    await http.post(PODS, pod())
    refused = await http.post(f"{PODS}/p/binding", body)
    assert (refused.status, words in refused.message) == (status, True)


async def test_a_pod_behind_gates_takes_no_node(http):
    await http.post(PODS, pod(schedulingGates=[{"name": "example.dev/wait"}]))
    refused = await http.post(f"{PODS}/p/binding", binding())
    assert refused.message.endswith("pod p has non-empty .spec.schedulingGates")

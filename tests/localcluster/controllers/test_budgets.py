"""PodDisruptionBudgets: how many pods may go."""

from datetime import UTC, datetime

import pytest

from kubernaut.localcluster.controllers.budgets import budget_status

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def pods(ready, sick=0):
    def pod(state):
        return {"metadata": {"name": "p"}, "status": {"conditions": [{"type": "Ready", "status": state}]}}

    return [pod("True")] * ready + [pod("False")] * sick


@pytest.mark.parametrize(
    ("spec", "ready", "expected", "desired", "allowed"),
    [
        ({"minAvailable": 2}, 3, 3, 2, 1),
        ({"minAvailable": 3}, 3, 3, 3, 0),
        ({"minAvailable": "50%"}, 4, 5, 3, 1),
        ({"maxUnavailable": 1}, 3, 3, 2, 1),
        ({"maxUnavailable": 1}, 2, 3, 2, 0),
        ({"maxUnavailable": "50%"}, 5, 5, 2, 3),
        ({"maxUnavailable": 5}, 3, 3, 0, 3),
    ],
)
def test_budget_status(spec, ready, expected, desired, allowed):
    status = budget_status({"metadata": {"generation": 1}, "spec": spec}, pods(ready, expected - ready), expected, T0)
    assert (status["currentHealthy"], status["desiredHealthy"], status["disruptionsAllowed"]) == (ready, desired, allowed)
    assert status["conditions"][0]["reason"] == ("SufficientPods" if allowed else "InsufficientPods")


async def test_a_budget_follows_its_pods(lab):
    await lab.create("deployments", lab.deployment(), "apps")
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await lab.create("poddisruptionbudgets", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}, "policy")
    await lab.pass_time(3)
    status = (await lab.get("poddisruptionbudgets", "web", group="policy"))["status"]
    assert (status["expectedPods"], status["currentHealthy"], status["disruptionsAllowed"]) == (3, 3, 1)


@pytest.mark.parametrize("lab", [{"names": ("budgets", "namespaces")}], indirect=True)
async def test_a_budget_counts_the_pods_that_a_workload_wants_not_those_there_are(lab):
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": lab.pod()["spec"]}
    spec = {"replicas": 5, "selector": {"matchLabels": labels}, "template": template}
    owner = await lab.create("replicasets", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}, "apps")
    pod = lab.pod("one", labels=labels)
    pod["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": owner["metadata"]["uid"], "controller": True}
    ]
    await lab.create("pods", pod)
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    await lab.create("poddisruptionbudgets", {"metadata": {"name": "web", "namespace": "shop"}, "spec": budget}, "policy")
    await lab.pass_time(1)
    status = (await lab.get("poddisruptionbudgets", "web", group="policy"))["status"]
    assert (status["expectedPods"], status["desiredHealthy"], status["disruptionsAllowed"]) == (5, 4, 0)

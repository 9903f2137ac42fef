"""The scheduler over real objects."""

import pytest

SMALL = {"scenario": {"nodes": [{"name": "node-1", "memory": "1Gi"}]}}


def scheduled(pod):
    return next(row for row in pod["status"]["conditions"] if row["type"] == "PodScheduled")


async def test_a_pod_is_bound_and_both_sides_tell_so(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(0.05)
    pod = await lab.get("pods", "one")
    assert pod["spec"]["nodeName"] == "node-1"
    assert scheduled(pod)["status"] == "True"
    (event,) = [row for row in await lab.list("events") if row["reason"] == "Scheduled"]
    assert event["message"] == "Successfully assigned shop/one to node-1"
    assert (event["reportingComponent"], event["action"]) == ("default-scheduler", "Binding")


@pytest.mark.parametrize("lab", [SMALL], indirect=True)
async def test_a_pod_that_fits_nowhere_waits_until_room_is_made(lab):
    big = {"resources": {"requests": {"memory": "700Mi"}}}
    await lab.create("pods", lab.pod("first", lab.container(**big)))
    await lab.pass_time(1)
    await lab.create("pods", lab.pod("second", lab.container(**big)))
    await lab.pass_time(1)
    row = scheduled(await lab.get("pods", "second"))
    told = (
        "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    assert (row["status"], row["reason"], row["message"]) == ("False", "Unschedulable", told)
    assert ("FailedScheduling", told) in await lab.events()
    await lab.delete("pods", "first")
    await lab.pass_time(2)
    assert (await lab.phases()) == {"second": "Running"}


async def test_a_label_put_on_a_node_lets_a_waiting_pod_in(lab):
    await lab.create("pods", lab.pod(nodeSelector={"disk": "ssd"}))
    await lab.pass_time(1)
    assert scheduled(await lab.get("pods", "one"))["status"] == "False"
    await lab.patch("nodes", "node-1", {"metadata": {"labels": {"disk": "ssd"}}}, "")
    await lab.pass_time(1)
    assert (await lab.phases())["one"] == "Running"


@pytest.mark.parametrize(
    "fields", [{"schedulerName": "other"}, {"schedulingGates": [{"name": "example.dev/wait"}]}], ids=["another's", "gated"]
)
async def test_pods_of_other_schedulers_and_gated_ones_are_left_alone(lab, fields):
    await lab.create("pods", lab.pod(**fields))
    await lab.pass_time(2)
    assert "nodeName" not in (await lab.get("pods", "one"))["spec"]


async def test_a_claim_that_does_not_exist_is_waited_for(lab):
    await lab.create("pods", lab.pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]))
    await lab.pass_time(1)
    message = '0/1 nodes are available: persistentvolumeclaim "data" not found. not found'
    assert scheduled(await lab.get("pods", "one"))["message"] == message
    await lab.create("storageclasses", {"metadata": {"name": "fast"}, "provisioner": "example.dev/none"}, "storage.k8s.io")
    spec = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await lab.create("persistentvolumeclaims", {"metadata": {"name": "data", "namespace": "shop"}, "spec": spec})
    await lab.pass_time(2)
    assert (await lab.phases())["one"] == "Running"

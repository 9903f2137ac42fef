"""Deployments: roll-outs, history, pauses and deadlines, with real ReplicaSets and simulated pods."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.localcluster.controllers.progress import next_status, with_progress

BAD = {"nodes": [{"name": "node-1"}], "rules": [{"match": {"image": "*:bad"}, "imageMissing": {}}]}


async def sets(lab):
    """The revision, wanted and ready pods of each ReplicaSet."""
    rows = await lab.list("replicasets", group="apps")
    told = [
        (rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"], rs["spec"]["replicas"], rs["status"].get("readyReplicas", 0))
        for rs in rows
    ]
    return sorted(told)


async def conditions(lab, name="web"):
    status = (await lab.get("deployments", name, group="apps"))["status"]
    return {row["type"]: (row["status"], row["reason"], row["message"]) for row in status["conditions"]}


async def start(lab, *containers, **fields):
    made = await lab.create("deployments", lab.deployment("web", *containers, **fields), "apps")
    await lab.pass_time(3)
    return made


def image(lab, name):
    return {"spec": {"template": {"spec": {"containers": [lab.container(image=name)]}}}}


async def roll(lab, patch, seconds=5):
    await lab.patch("deployments", "web", patch, group="apps")
    await lab.pass_time(seconds)


async def test_a_deployment_makes_a_replica_set_that_makes_pods(lab):
    await start(lab)
    assert await sets(lab) == [("1", 3, 3)]
    (rs,) = await lab.list("replicasets", group="apps")
    digest = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"web-{digest}"
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] == "3"
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "4"
    assert all(pod["metadata"]["generateName"] == f"web-{digest}-" for pod in await lab.list("pods"))
    made = await lab.get("deployments", "web", group="apps")
    assert made["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    counts = {name: value for name, value in made["status"].items() if name != "conditions"}
    assert counts == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "terminatingReplicas": 0,
    }
    assert await conditions(lab) == {
        "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        "Progressing": ("True", "NewReplicaSetAvailable", f'ReplicaSet "web-{digest}" has successfully progressed.'),
    }
    assert ("ScalingReplicaSet", f"Scaled up replica set web-{digest} from 0 to 3") in await lab.events()


async def test_a_new_template_rolls_out_and_an_old_one_rolls_back(lab):
    await start(lab)
    await roll(lab, image(lab, "registry.example/shop:2"))
    assert await sets(lab) == [("1", 0, 0), ("2", 3, 3)]
    await roll(lab, image(lab, "registry.example/shop:1"))
    assert await sets(lab) == [("2", 0, 0), ("3", 3, 3)]
    held = [rs for rs in await lab.list("replicasets", group="apps") if rs["spec"]["replicas"]]
    assert held[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    made = await lab.get("deployments", "web", group="apps")
    assert made["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


@pytest.mark.parametrize("lab", [{"scenario": BAD}], indirect=True)
async def test_a_roll_out_that_cannot_get_ready_stops_at_the_surge_and_misses_its_deadline(lab):
    await start(lab, progressDeadlineSeconds=30)
    await roll(lab, image(lab, "registry.example/shop:bad"), 10)
    assert await sets(lab) == [("1", 3, 3), ("2", 1, 0)]
    assert (await conditions(lab))["Progressing"][1] == "ReplicaSetUpdated"
    await lab.pass_time(40)
    status, reason, message = (await conditions(lab))["Progressing"]
    assert (status, reason) == ("False", "ProgressDeadlineExceeded")
    assert message.endswith("has timed out progressing.")
    assert (await conditions(lab))["Available"][0] == "True"
    await roll(lab, image(lab, "registry.example/shop:1"))
    assert await sets(lab) == [("2", 0, 0), ("3", 3, 3)]
    assert (await conditions(lab))["Progressing"][1] == "NewReplicaSetAvailable"


async def test_recreate_ends_all_old_pods_before_the_first_new_one(lab):
    await start(lab, strategy={"type": "Recreate"})
    seen = []
    await lab.patch("deployments", "web", image(lab, "registry.example/shop:2"), group="apps")
    for _ in range(200):
        await lab.pass_time(0.02)
        seen.append({pod["spec"]["containers"][0]["image"] for pod in await lab.list("pods")})
    assert all(len(images) <= 1 for images in seen)
    assert seen[-1] == {"registry.example/shop:2"}


async def test_a_paused_deployment_does_not_roll_but_scales(lab):
    await start(lab)
    await roll(lab, {"spec": {"paused": True}})
    assert (await conditions(lab))["Progressing"] == ("Unknown", "DeploymentPaused", "Deployment is paused")
    await roll(lab, image(lab, "registry.example/shop:2") | {})
    assert await sets(lab) == [("1", 3, 3)]
    await roll(lab, {"spec": {"replicas": 5}})
    assert await sets(lab) == [("1", 5, 5)]
    await roll(lab, {"spec": {"paused": False}}, 8)
    assert await sets(lab) == [("1", 0, 0), ("2", 5, 5)]


async def test_scaling_keeps_the_revision(lab):
    await start(lab)
    await roll(lab, {"spec": {"replicas": 1}})
    assert await sets(lab) == [("1", 1, 1)]
    await roll(lab, {"spec": {"replicas": 0}})
    assert await sets(lab) == [("1", 0, 0)]
    await roll(lab, {"spec": {"replicas": 4}})
    assert await sets(lab) == [("1", 4, 4)]


async def test_the_history_is_kept_to_its_limit(lab):
    await start(lab, replicas=1, revisionHistoryLimit=2)
    for tag in range(2, 7):
        await roll(lab, image(lab, f"registry.example/shop:{tag}"), 3)
    assert [revision for revision, *_ in await sets(lab)] == ["4", "5", "6"]


async def test_pods_count_as_available_after_min_ready_seconds(lab):
    await start(lab, replicas=1, minReadySeconds=20)
    status = (await lab.get("deployments", "web", group="apps"))["status"]
    assert status["readyReplicas"] == 1
    assert status["unavailableReplicas"] == 1
    await lab.pass_time(20)
    status = (await lab.get("deployments", "web", group="apps"))["status"]
    assert status["availableReplicas"] == 1


async def test_a_deployment_adopts_a_replica_set_that_lost_its_owner(lab):
    await start(lab)
    (before,) = await lab.list("replicasets", group="apps")
    await lab.patch("replicasets", before["metadata"]["name"], {"metadata": {"ownerReferences": None}}, group="apps")
    await lab.pass_time(2)
    (after,) = await lab.list("replicasets", group="apps")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["ownerReferences"][0]["name"] == "web"


async def test_deleting_a_deployment_takes_its_pods(lab):
    await start(lab)
    await lab.delete("deployments", "web", group="apps", propagation="Background")
    await lab.pass_time(5)
    assert await lab.list("replicasets", group="apps") == []
    assert await lab.list("pods") == []


async def test_a_crash_of_all_stand_ins_at_any_moment_of_a_roll_out_does_no_harm(lab):
    await start(lab)
    await lab.patch("deployments", "web", image(lab, "registry.example/shop:2"), group="apps")
    for _ in range(40):
        await lab.pass_time(0.05)
        await lab.kill()
        lab.start()
        alive = [pod for pod in await lab.list("pods") if "deletionTimestamp" not in pod["metadata"]]
        assert len(alive) <= 4
    await lab.pass_time(5)
    assert await sets(lab) == [("1", 0, 0), ("2", 3, 3)]


def test_a_status_that_did_not_change_is_left_alone():
    deployment = {"metadata": {"name": "web", "generation": 1}, "spec": {"replicas": 0}}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    first = with_progress(deployment, next_status(deployment, None, [], now), None, now)
    again = deployment | {"status": first}
    later = now + timedelta(hours=1)
    assert with_progress(again, next_status(again, None, [], later), None, later) == first

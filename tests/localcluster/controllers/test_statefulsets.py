"""StatefulSets: stable names, order, updates from the last to the first."""

import pytest

from kubernaut.localcluster.controllers.statefulsets import Move, next_moves


def owner(replicas=3, policy="OrderedReady", partition=0, strategy="RollingUpdate"):
    spec = {"replicas": replicas, "podManagementPolicy": policy}
    return {"spec": spec | {"updateStrategy": {"type": strategy, "rollingUpdate": {"partition": partition}}}}


def pod(ordinal, ready=True, revision="new", phase="Running", dying=False):
    meta = {"name": f"db-{ordinal}", "labels": {"controller-revision-hash": revision}} | ({"deletionTimestamp": "x"} if dying else {})
    return {"metadata": meta, "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def create(*ordinals):
    return [Move("create", ordinal) for ordinal in ordinals]


def delete(*ordinals):
    return [Move("delete", ordinal) for ordinal in ordinals]


@pytest.mark.parametrize(
    ("sts", "pods", "moves"),
    [
        pytest.param(owner(), [], create(0), id="the first comes first"),
        pytest.param(owner(), [pod(0, ready=False)], [], id="the next waits for it"),
        pytest.param(owner(), [pod(0)], create(1), id="then the next"),
        pytest.param(owner(policy="Parallel"), [], create(0, 1, 2), id="in parallel all at once"),
        pytest.param(owner(), [pod(0), pod(2)], create(1), id="a gap is filled"),
        pytest.param(owner(), [pod(0, phase="Failed"), pod(1), pod(2)], delete(0), id="a failed one is replaced"),
        pytest.param(owner(1), [pod(0), pod(1), pod(2)], delete(2), id="down from the last"),
        pytest.param(owner(1), [pod(0), pod(1), pod(2, dying=True)], [], id="one at a time"),
        pytest.param(owner(1), [pod(0, ready=False), pod(1)], [], id="no one goes while another is broken"),
        pytest.param(
            owner(), [pod(0, revision="old"), pod(1, revision="old"), pod(2, revision="old")], delete(2), id="updates begin at the last"
        ),
        pytest.param(owner(), [pod(0, revision="old"), pod(1, revision="old"), pod(2)], delete(1), id="and go down"),
        pytest.param(owner(partition=2), [pod(0, revision="old"), pod(1, revision="old"), pod(2)], [], id="to the partition"),
        pytest.param(owner(strategy="OnDelete"), [pod(0, revision="old"), pod(1), pod(2)], [], id="or not at all"),
        pytest.param(owner(), [pod(0), pod(1), pod(2)], [], id="all is well"),
    ],
)
def test_next_moves(sts, pods, moves):
    assert next_moves(sts, pods, "new") == moves


def stateful_set(lab, replicas=2, tag="1", **fields):
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": lab.pod("db", lab.container(image=f"registry.example/db:{tag}"))["spec"]}
    spec = {"serviceName": "db", "replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **fields}
    return {"metadata": {"name": "db", "namespace": "shop"}, "spec": spec}


async def test_a_stateful_set_comes_up_in_order_and_rolls_from_the_last(lab):
    await lab.create("statefulsets", stateful_set(lab), "apps")
    await lab.pass_time(4)
    pods = await lab.list("pods")
    assert [pod["metadata"]["name"] for pod in pods] == ["db-0", "db-1"]
    assert pods[1]["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert pods[1]["spec"]["hostname"] == "db-1"
    status = (await lab.get("statefulsets", "db", group="apps"))["status"]
    assert (status["readyReplicas"], status["availableReplicas"], status["currentReplicas"], status["updatedReplicas"]) == (2, 2, 2, 2)
    first = status["updateRevision"]
    assert status["currentRevision"] == first

    template = stateful_set(lab, tag="2")["spec"]["template"]
    await lab.patch("statefulsets", "db", {"spec": {"template": template}}, group="apps")
    await lab.pass_time(6)
    assert {pod["spec"]["containers"][0]["image"] for pod in await lab.list("pods")} == {"registry.example/db:2"}
    status = (await lab.get("statefulsets", "db", group="apps"))["status"]
    assert status["currentRevision"] == status["updateRevision"] != first
    assert [row["revision"] for row in sorted(await lab.list("controllerrevisions", group="apps"), key=lambda row: row["revision"])] == [
        1,
        2,
    ]


async def test_each_pod_gets_its_claim(lab):
    await lab.create("storageclasses", {"metadata": {"name": "fast"}, "provisioner": "example.dev/none"}, "storage.k8s.io")
    claim = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    await lab.create("statefulsets", stateful_set(lab, volumeClaimTemplates=templates), "apps")
    await lab.pass_time(5)
    claims = await lab.list("persistentvolumeclaims")
    assert [row["metadata"]["name"] for row in claims] == ["data-db-0", "data-db-1"]
    assert {row["status"]["phase"] for row in claims} == {"Bound"}
    assert set((await lab.phases()).values()) == {"Running"}
    await lab.delete("pods", "db-0")
    await lab.pass_time(5)
    assert len(await lab.list("persistentvolumeclaims")) == 2

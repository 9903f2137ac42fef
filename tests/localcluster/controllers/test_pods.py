"""The pod simulator: what a kubelet writes, and how scenario data and objects decide it."""

import re

import pytest


def scenario(*rules, nodes=({"name": "node-1"},)):
    return {"scenario": {"nodes": list(nodes), "rules": list(rules)}}


def told(pod):
    return {row["type"]: (row["status"], row.get("reason")) for row in pod["status"]["conditions"]}


async def test_a_pod_gets_ready(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(0.6)
    pod = await lab.get("pods", "one")
    status = pod["status"]
    assert status["phase"] == "Running"
    assert [row["type"] for row in status["conditions"]] == [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    assert {row["status"] for row in status["conditions"]} == {"True"}
    assert status["hostIP"] == "10.250.0.1"
    assert status["podIP"].startswith("10.244.")
    assert status["qosClass"] == "BestEffort"
    row = status["containerStatuses"][0]
    assert list(row["state"]) == ["running"]
    assert (row["ready"], row["started"], row["restartCount"]) == (True, True, 0)
    reasons = [reason for reason, _ in await lab.events()]
    assert reasons == ["Scheduled", "Pulling", "Pulled", "Created", "Started"]


async def test_every_stage_of_the_start_is_shown(lab):
    seen = []
    await lab.create("pods", lab.pod())
    for _ in range(30):
        await lab.pass_time(0.02)
        pod = await lab.get("pods", "one")
        rows = pod["status"].get("containerStatuses") or [{"state": {}}]
        stage = (pod["status"]["phase"], (rows[0]["state"].get("waiting") or {}).get("reason"), "podIP" in pod["status"])
        if stage not in seen:
            seen.append(stage)
    assert seen[-3:] == [("Pending", "ContainerCreating", False), ("Pending", "ContainerCreating", True), ("Running", None, True)]


async def test_pods_get_addresses_of_their_own(lab):
    for number in range(20):
        await lab.create("pods", lab.pod(f"p{number}"))
    await lab.pass_time(2)
    assert len({pod["status"]["podIP"] for pod in await lab.list("pods")}) == 20


async def test_a_pod_on_the_network_of_its_node_has_the_address_of_its_node(lab):
    await lab.create("pods", lab.pod(hostNetwork=True))
    await lab.pass_time(0.6)
    status = (await lab.get("pods", "one"))["status"]
    assert (status["phase"], status["podIP"], status["hostIP"]) == ("Running", "10.250.0.1", "10.250.0.1")


MISSING = [{"image": "*:gone", "why": "notFound"}, {"image": "private/*", "why": "denied"}]


@pytest.mark.parametrize(
    "lab", [scenario(*({"match": {"image": row["image"]}, "imageMissing": {"why": row["why"]}} for row in MISSING))], indirect=True
)
@pytest.mark.parametrize(("image", "words"), [("registry.example/shop:gone", "not found"), ("private/shop:1", "authorization failed")])
async def test_an_image_that_cannot_be_pulled(lab, image, words):
    await lab.create("pods", lab.pod("one", lab.container(image=image)))
    await lab.pass_time(0.8)
    row = await lab.row("one")
    assert row["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert row["state"]["waiting"]["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: rpc error')
    assert row["state"]["waiting"]["message"].endswith(words)
    events = await lab.events()
    assert ("Failed", "Error: ErrImagePull") in events
    assert ("BackOff", f'Back-off pulling image "{image}"') in events
    assert told(await lab.get("pods", "one"))["Ready"] == ("False", "ContainersNotReady")


CRASH = {
    "match": {"container": "app"},
    "log": "starting",
    "exits": {"code": 3, "after": 0.3, "log": "no database url", "until": {"config": {"configMap": "db", "key": "url"}}},
}


@pytest.mark.parametrize("lab", [scenario(CRASH)], indirect=True)
async def test_a_container_crashes_until_its_configuration_is_there(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(6)
    row = await lab.row("one")
    assert row["lastState"]["terminated"]["reason"] == "Error"
    assert row["lastState"]["terminated"]["exitCode"] == 3
    assert row["restartCount"] >= 2
    assert lab.cluster.logs.text("shop", "one", "app") == "starting\nno database url\n"
    before = row["restartCount"]
    await lab.create("configmaps", {"metadata": {"name": "db", "namespace": "shop"}, "data": {"url": "x"}})
    await lab.pass_time(20)
    row = await lab.row("one")
    assert "running" in row["state"]
    assert row["restartCount"] <= before + 1
    assert lab.cluster.logs.text("shop", "one", "app") == "starting\n"
    assert lab.cluster.logs.text("shop", "one", "app", previous=True) == "starting\nno database url\n"


async def test_an_environment_without_its_config_map_waits_for_it(lab):
    env = [{"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "db", "key": "url"}}}]
    await lab.create("pods", lab.pod("one", lab.container(env=env)))
    await lab.pass_time(2)
    row = await lab.row("one")
    assert row["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": 'configmap "db" not found'}
    await lab.create("configmaps", {"metadata": {"name": "db", "namespace": "shop"}, "data": {"other": "x"}})
    await lab.pass_time(1)
    row = await lab.row("one")
    assert row["state"]["waiting"]["message"] == "couldn't find key url in ConfigMap shop/db"
    await lab.patch("configmaps", "db", {"data": {"url": "x"}})
    await lab.pass_time(1)
    assert "running" in (await lab.row("one"))["state"]
    assert ("Failed", 'Error: configmap "db" not found') in await lab.events()


async def test_a_volume_without_its_secret_waits_for_it(lab):
    await lab.create("pods", lab.pod(volumes=[{"name": "tls", "secret": {"secretName": "cert"}}]))
    await lab.pass_time(3)
    pod = await lab.get("pods", "one")
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert told(pod)["PodReadyToStartContainers"] == ("False", None)
    assert ("FailedMount", 'MountVolume.SetUp failed for volume "tls" : secret "cert" not found') in await lab.events()
    await lab.create("secrets", {"metadata": {"name": "cert", "namespace": "shop"}})
    await lab.pass_time(1)
    assert (await lab.phases())["one"] == "Running"


PROBE = {"match": {}, "probeFails": {"probe": "readiness", "message": "connection refused", "until": {"env": {"MODE": "safe"}}}}


@pytest.mark.parametrize("lab", [scenario(PROBE)], indirect=True)
async def test_a_failing_readiness_probe(lab):
    probe = {"readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5}}
    await lab.create("pods", lab.pod("sick", lab.container(**probe)))
    await lab.create("pods", lab.pod("well", lab.container(env=[{"name": "MODE", "value": "safe"}], **probe)))
    await lab.pass_time(3)
    sick, well = await lab.get("pods", "sick"), await lab.get("pods", "well")
    assert sick["status"]["phase"] == "Running"
    assert told(sick)["Ready"] == ("False", "ContainersNotReady")
    assert told(well)["Ready"] == ("True", None)
    assert ("Unhealthy", "Readiness probe failed: connection refused") in await lab.events()


INIT = {"match": {"container": "migrate"}, "exits": {"code": 7, "after": 0.1, "until": {"image": "*:fixed"}}}


@pytest.mark.parametrize("lab", [scenario(INIT)], indirect=True)
async def test_a_failing_init_container_holds_the_pod_up(lab):
    await lab.create("pods", lab.pod(initContainers=[lab.container("prepare"), lab.container("migrate")]))
    await lab.pass_time(5)
    pod = await lab.get("pods", "one")
    prepare, migrate = pod["status"]["initContainerStatuses"]
    assert pod["status"]["phase"] == "Pending"
    assert prepare["state"]["terminated"]["reason"] == "Completed"
    assert prepare["ready"] is True
    assert migrate["restartCount"] >= 1
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = next(row for row in pod["status"]["conditions"] if row["type"] == "Initialized")
    assert (initialized["reason"], initialized["message"]) == ("ContainersNotInitialized", "containers with incomplete status: [migrate]")


async def test_init_containers_run_one_after_the_other_and_then_the_others(lab):
    await lab.create("pods", lab.pod(initContainers=[lab.container("prepare"), lab.container("migrate")]))
    await lab.pass_time(3)
    pod = await lab.get("pods", "one")
    assert pod["status"]["phase"] == "Running"
    assert told(pod)["Initialized"] == ("True", None)
    assert [row["ready"] for row in pod["status"]["initContainerStatuses"]] == [True, True]


async def test_a_sidecar_keeps_running_beside_the_others(lab):
    await lab.create("pods", lab.pod(initContainers=[lab.container("proxy", restartPolicy="Always")]))
    await lab.pass_time(3)
    pod = await lab.get("pods", "one")
    assert "running" in pod["status"]["initContainerStatuses"][0]["state"]
    assert pod["status"]["phase"] == "Running"


@pytest.mark.parametrize("lab", [scenario({"match": {}, "exits": {"code": 2, "after": 0.2}})], indirect=True)
async def test_a_pod_that_is_not_restarted_fails(lab):
    await lab.create("pods", lab.pod(restartPolicy="Never"))
    await lab.pass_time(3)
    pod = await lab.get("pods", "one")
    assert pod["status"]["phase"] == "Failed"
    assert told(pod)["Ready"] == ("False", "PodFailed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 2


async def test_a_deleted_pod_is_stopped_and_goes(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(1)
    await lab.delete("pods", "one")
    assert (await lab.get("pods", "one"))["metadata"]["deletionGracePeriodSeconds"] == 30
    await lab.pass_time(1)
    assert await lab.gone("pods", "one")
    assert ("Killing", "Stopping container app") in await lab.events()


async def test_a_pod_without_a_node_goes_at_once(lab):
    await lab.create("pods", lab.pod(nodeSelector={"none": "here"}))
    await lab.pass_time(1)
    await lab.delete("pods", "one")
    assert await lab.gone("pods", "one")


OOM = {"match": {}, "needsMemory": {"memory": "200Mi", "after": 0.2}}


@pytest.mark.parametrize("lab", [scenario(OOM)], indirect=True)
@pytest.mark.parametrize(("limit", "killed"), [("128Mi", True), ("199Mi", True), ("200Mi", False), ("1Gi", False), (None, False)])
async def test_memory_limits_decide_who_is_killed(lab, limit, killed):
    limits = {"resources": {"limits": {"memory": limit}}} if limit else {}
    await lab.create("pods", lab.pod("one", lab.container(**limits)))
    await lab.pass_time(3)
    row = await lab.row("one")
    assert (row["restartCount"] > 0) is killed
    if killed:
        assert row["lastState"]["terminated"]["reason"] == "OOMKilled"
        assert row["resources"]["limits"] == {"memory": limit}


@pytest.mark.parametrize("lab", [scenario(OOM)], indirect=True)
async def test_nothing_of_the_scenario_shows_in_the_objects(lab):
    await lab.create("pods", lab.pod("one", lab.container(resources={"limits": {"memory": "128Mi"}})))
    await lab.pass_time(5)
    shown = [await lab.get("pods", "one"), *await lab.list("events"), await lab.get("nodes", "node-1", "")]
    for told in map(str, shown):
        assert not re.search(r"needs|200Mi|209715200|Mem(Used|Peak)", told)


@pytest.mark.parametrize("lab", [scenario(OOM)], indirect=True)
async def test_a_new_process_goes_on_from_the_statuses(lab):
    await lab.create("pods", lab.pod("one", lab.container(resources={"limits": {"memory": "128Mi"}})))
    await lab.pass_time(4)
    before = await lab.row("one")
    assert before["restartCount"] >= 2
    await lab.kill()
    lab.start()
    await lab.pass_time(0.1)
    assert await lab.row("one") == before or (await lab.row("one"))["restartCount"] >= before["restartCount"]
    await lab.pass_time(20)
    after = await lab.row("one")
    assert after["restartCount"] > before["restartCount"]
    assert after["lastState"]["terminated"]["reason"] == "OOMKilled"


async def test_a_changed_scenario_is_heard_at_once(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(1)
    assert (await lab.row("one"))["restartCount"] == 0
    live = lab.scenario
    live.replace(type(live.current).from_obj(scenario({"match": {}, "exits": {"code": 1, "after": 0.1}})["scenario"]))
    await lab.pass_time(1)
    assert (await lab.row("one"))["restartCount"] >= 1


@pytest.mark.parametrize("lab", [scenario({"match": {}, "exits": {"code": 1, "after": 0.1}})], indirect=True)
async def test_what_is_told_again_is_counted_not_repeated(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(5)
    (created,) = [row for row in await lab.list("events") if row["reason"] == "Created"]
    assert created["count"] == (await lab.row("one"))["restartCount"] + 1 > 2
    assert created["lastTimestamp"] > created["firstTimestamp"]
    assert created["source"] == {"component": "kubelet", "host": "node-1"}
    assert created["involvedObject"]["fieldPath"] == "spec.containers{app}"


SAYS = {"match": {}, "exits": {"code": 1, "after": 0.1, "log": "out of luck"}}


@pytest.mark.parametrize("lab", [scenario(SAYS)], indirect=True)
async def test_the_log_becomes_the_termination_message_where_the_policy_says_so(lab):
    await lab.create("pods", lab.pod("one", lab.container(terminationMessagePolicy="FallbackToLogsOnError")))
    await lab.pass_time(2)
    assert (await lab.row("one"))["lastState"]["terminated"]["message"] == "out of luck"


async def test_another_image_restarts_the_container(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(1)
    (held,) = (await lab.get("pods", "one"))["spec"]["containers"]
    await lab.patch("pods", "one", {"spec": {"containers": [held | {"image": "registry.example/shop:2"}]}})
    await lab.pass_time(1)
    row = await lab.row("one")
    assert (row["image"], row["restartCount"]) == ("registry.example/shop:2", 1)
    assert ("Killing", "Container app definition changed, will be restarted") in await lab.events()


NEEDS_DB = {"match": {"container": "web"}, "exits": {"code": 1, "after": 0.1, "until": {"serviceReady": "db"}}}


@pytest.mark.parametrize("lab", [scenario(NEEDS_DB)], indirect=True)
async def test_a_container_crashes_until_the_service_it_needs_is_ready(lab):
    await lab.create("pods", lab.pod("one", lab.container("web")))
    await lab.pass_time(3)
    assert (await lab.row("one"))["restartCount"] >= 1
    spec = {"selector": {"app": "db"}, "ports": [{"port": 5432, "targetPort": 5432}]}
    await lab.create("services", {"metadata": {"name": "db", "namespace": "shop"}, "spec": spec})
    await lab.create("pods", lab.pod("db", labels={"app": "db"}))
    await lab.pass_time(15)
    assert "running" in (await lab.row("one"))["state"]


async def test_events_go_an_hour_after_they_were_last_told(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(3000)
    assert len(await lab.events()) == 5
    await lab.pass_time(700)
    assert await lab.events() == []

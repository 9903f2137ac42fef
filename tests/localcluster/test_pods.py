import pytest

from tests.localcluster.http import CONFIGMAPS, PODS, STRATEGIC, configmap, pod

BUDGETS = "/apis/policy/v1/namespaces/example/poddisruptionbudgets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/example/deployments"
SERVICES = "/api/v1/namespaces/example/services"
RUNNING = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


def eviction(name="p"):
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}


async def budgeted(http, allowed):
    await http.post(PODS, pod())
    await http.patch(f"{PODS}/p/status", RUNNING, STRATEGIC)
    least = 1 - allowed
    await http.post(BUDGETS, {"metadata": {"name": "b"}, "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "p"}}}})
    counts = {"currentHealthy": 1, "desiredHealthy": least, "expectedPods": 1, "disruptionsAllowed": allowed, "observedGeneration": 1}
    await http.patch(f"{BUDGETS}/b/status", {"status": counts})


async def test_a_new_pod_is_furnished(http):
    made = (await http.post(PODS, pod())).body
    assert made["spec"]["serviceAccountName"] == "default"
    assert made["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert [row["key"] for row in made["spec"]["tolerations"]] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "512Mi"}}, "Burstable"),
    ],
)
async def test_the_quality_of_service_follows_from_requests_and_limits(http, resources, qos):
    body = pod(containers=[{"name": "a", "image": "x", "resources": resources}])
    assert (await http.post(PODS, body)).body["status"]["qosClass"] == qos


async def test_a_pod_of_an_unknown_service_account_is_refused(http):
    answer = await http.post(PODS, pod(serviceAccountName="nosuch"))
    assert answer.message == 'pods "p" is forbidden: error looking up service account example/nosuch: serviceaccount "nosuch" not found'


async def test_binding_gives_a_pod_its_node_once(http):
    await http.post(PODS, pod())
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "example-n"}}
    assert (await http.post(f"{PODS}/p/binding", body)).status == 201
    bound = (await http.get(f"{PODS}/p")).body
    assert (bound["spec"]["nodeName"], bound["status"]["conditions"][0]["type"]) == ("example-n", "PodScheduled")
    assert (await http.post(f"{PODS}/p/binding", body)).status == 409


async def test_an_eviction_deletes_a_pod(http):
    await http.post(PODS, pod())
    evicted = await http.post(f"{PODS}/p/eviction", eviction())
    assert (evicted.status, evicted.body["status"]) == (201, "Success")
    assert (await http.get(f"{PODS}/p")).status == 404


async def test_a_budget_forbids_an_eviction(http):
    await budgeted(http, allowed=0)
    refused = await http.post(f"{PODS}/p/eviction", eviction())
    assert (refused.status, refused.body["reason"]) == (429, "TooManyRequests")
    assert refused.body["details"]["causes"][0]["message"] == "The disruption budget b needs 1 healthy pods and has 1 currently"


async def test_an_eviction_is_taken_from_the_budget(http):
    await budgeted(http, allowed=1)
    assert (await http.post(f"{PODS}/p/eviction", eviction())).status == 201
    assert (await http.get(f"{BUDGETS}/b")).body["status"].get("disruptionsAllowed", 0) == 0


async def test_logs_come_from_whoever_publishes_them(cluster, http):
    await http.post(PODS, pod())
    assert (await http.get(f"{PODS}/p/log")).status == 204
    texts = {("example", "p", "a"): "one\ntwo\nthree\n"}
    withdraw = cluster.logs.publish(lambda *place, previous: None if previous else texts.get(place))
    assert (await http.get(f"{PODS}/p/log")).body == "one\ntwo\nthree\n"
    assert (await http.get(f"{PODS}/p/log", tailLines="1")).body == "three\n"
    assert (await http.get(f"{PODS}/p/log", container="zzz")).message == "container zzz is not valid for pod p"
    withdraw()
    assert (await http.get(f"{PODS}/p/log")).status == 204


async def test_a_pod_without_its_service_account_is_refused_by_the_start_of_its_name(http):
    asked = pod(serviceAccountName="nobody")
    refused = await http.post(PODS, asked | {"metadata": {"generateName": "web-7b56fd99dc-"}})
    assert refused.message == (
        'pods "web-7b56fd99dc-" is forbidden: error looking up service account example/nobody: serviceaccount "nobody" not found'
    )


STARTED = {"name": "a", "image": "x", "imageID": "x", "ready": True, "restartCount": 0}


async def set_state(http, phase, **state):
    status = {"phase": phase, "containerStatuses": [STARTED | {"state": state}]}
    assert (await http.patch(f"{PODS}/p/status", {"status": status})).status == 200


async def test_lines_carry_the_time_at_which_their_container_started(cluster, http):
    await http.post(PODS, pod(nodeName="n"))
    cluster.logs.publish(lambda *_, previous: None if previous else "one\ntwo\n")
    await set_state(http, "Running", running={"startedAt": "2026-01-02T03:04:05Z"})
    log = f"{PODS}/p/log"
    assert (await http.get(log, timestamps="true", tailLines="1")).body == "2026-01-02T03:04:05.000000000Z two\n"
    assert (await http.get(log, sinceTime="2026-01-02T03:04:06Z")).body == ""
    assert (await http.get(log, sinceTime="2026-01-02T03:04:05Z")).body == "one\ntwo\n"
    assert (await http.get(log, sinceSeconds="60")).body == ""
    assert (await http.get(log, sinceSeconds="0")).status == 422
    assert (await http.get(log, sinceTime="yesterday")).status == 400
    assert (await http.get(log, sinceTime="2026-01-02T03:04:05Z", sinceSeconds="1")).status == 422


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("ContainerCreating", "ContainerCreating"),
        ("ImagePullBackOff", "trying and failing to pull image"),
        ("ErrImagePull", "image can't be pulled"),
    ],
)
async def test_a_container_that_never_ran_has_no_log_and_says_why(cluster, http, reason, told):
    await http.post(PODS, pod(nodeName="n"))
    cluster.logs.publish(lambda *_, previous: None if previous else "")
    await set_state(http, "Pending", waiting={"reason": reason})
    refused = await http.get(f"{PODS}/p/log")
    assert (refused.status, refused.message) == (400, f'container "a" in pod "p" is waiting to start: {told}')


async def test_a_log_is_followed_until_its_container_has_ended(cluster, http):
    await http.post(PODS, pod(nodeName="n"))
    written = ["one\n"]
    cluster.logs.publish(lambda *_, previous: None if previous else "".join(written))
    await set_state(http, "Running", running={"startedAt": "2026-01-02T03:04:05Z"})
    headers = {"Authorization": f"Bearer {http.token}"}
    async with http.session.get(f"{http.url}{PODS}/p/log", params={"follow": "true"}, headers=headers) as response:
        assert await response.content.readline() == b"one\n"
        written.append("two\n")
        assert await response.content.readline() == b"two\n"
        written.append("last\n")
        await set_state(http, "Succeeded", terminated={"exitCode": 0})
        assert await response.content.read() == b"last\n"


async def test_exec_says_that_it_is_not_there(cluster, http):
    assert cluster.url == http.url
    await http.post(PODS, pod(nodeName="n"))
    answer = await http.post(f"{PODS}/p/exec", b"", command="ls")
    assert (answer.status, "exec is not supported" in answer.message) == (400, True)


def deployment(**spec):
    template = {"metadata": {"labels": {"a": "d"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    return {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "d"}}, "template": template, **spec}}


async def test_scaling_writes_the_replicas_and_moves_the_generation(http):
    made = await http.post(DEPLOYMENTS, deployment())
    assert (made.body["spec"]["replicas"], made.body["spec"]["strategy"]["type"]) == (1, "RollingUpdate")
    scale = (await http.get(f"{DEPLOYMENTS}/d/scale")).body
    scale["spec"]["replicas"] = 5
    latest = {"metadata": {"name": "d", "namespace": "example"}, "spec": scale["spec"]}
    assert (await http.ask("PUT", f"{DEPLOYMENTS}/d/scale", latest)).body["status"]["selector"] == "a=d"
    seen = (await http.get(f"{DEPLOYMENTS}/d")).body
    assert (seen["spec"]["replicas"], seen["metadata"]["generation"]) == (5, 2)
    assert (await http.ask("PUT", f"{DEPLOYMENTS}/d/scale", scale)).status == 409
    assert (await http.patch(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": -1}})).status == 422


async def test_services_get_addresses_of_their_own_and_keep_them(http):
    ports = {"ports": [{"port": 80}]}
    made = [(await http.post(SERVICES, {"metadata": {"name": name}, "spec": ports})).body["spec"]["clusterIP"] for name in ("a", "b")]
    assert len(set(made)) == 2
    replaced = await http.ask("PUT", f"{SERVICES}/a", {"metadata": {"name": "a"}, "spec": ports | {"selector": {"x": "y"}}})
    assert replaced.body["spec"]["clusterIP"] == made[0]
    headless = await http.post(SERVICES, {"metadata": {"name": "h"}, "spec": ports | {"clusterIP": "None"}})
    assert headless.body["spec"]["clusterIP"] == "None"
    taken = await http.post(SERVICES, {"metadata": {"name": "t"}, "spec": ports | {"clusterIP": made[0]}})
    assert (taken.status, "provided IP is already allocated" in taken.message) == (422, True)


async def test_node_ports_are_given_out_once_and_kept(http):
    spec = {"type": "NodePort", "ports": [{"port": 80}]}
    first, second = [
        (await http.post(SERVICES, {"metadata": {"name": name}, "spec": spec})).body["spec"]["ports"][0]["nodePort"] for name in ("a", "b")
    ]
    assert first != second
    again = await http.ask("PUT", f"{SERVICES}/b", {"metadata": {"name": "b"}, "spec": spec})
    assert again.body["spec"]["ports"][0]["nodePort"] == second


async def test_an_unknown_subresource_of_a_core_kind_is_told(http):
    await http.post(CONFIGMAPS, configmap())
    answer = await http.get(f"{CONFIGMAPS}/one/nosuch")
    assert (answer.status, answer.message) == (404, "the server could not find the requested resource")

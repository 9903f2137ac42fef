import pytest

from tests.localcluster.http import CONFIGMAPS, PODS, STRATEGIC, configmap, pod

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SERVICES = "/api/v1/namespaces/default/services"
RUNNING = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


def eviction(name="p"):
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}


async def budgeted(http, allowed):
    await http.post(PODS, pod())
    await http.patch(f"{PODS}/p/status", RUNNING, STRATEGIC)
    await http.post(BUDGETS, {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}}})
    counts = {"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1, "disruptionsAllowed": allowed}
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
    assert answer.message == 'pods "p" is forbidden: error looking up service account default/nosuch: serviceaccount "nosuch" not found'


async def test_binding_gives_a_pod_its_node_once(http):
    await http.post(PODS, pod())
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert (await http.post(f"{PODS}/p/binding", body)).status == 201
    bound = (await http.get(f"{PODS}/p")).body
    assert (bound["spec"]["nodeName"], bound["status"]["conditions"][0]["type"]) == ("n", "PodScheduled")
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
    texts = {("default", "p", "a"): "one\ntwo\nthree\n"}
    withdraw = cluster.logs.publish(lambda *place, previous: None if previous else texts.get(place))
    assert (await http.get(f"{PODS}/p/log")).body == "one\ntwo\nthree\n"
    assert (await http.get(f"{PODS}/p/log", tailLines="1")).body == "three\n"
    assert (await http.get(f"{PODS}/p/log", container="zzz")).message == "container zzz is not valid for pod p"
    withdraw()
    assert (await http.get(f"{PODS}/p/log")).status == 204


async def test_exec_says_that_it_is_not_there(http):
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
    assert (await http.ask("PUT", f"{DEPLOYMENTS}/d/scale", scale)).body["status"]["selector"] == "a=d"
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

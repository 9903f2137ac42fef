"""Endpoints and EndpointSlices of Services."""

import pytest

from kubernaut.localcluster.controllers.endpoints import endpoint_slice, subsets


def plain_pod(name, address, *, dying=False, ready=True):
    meta = {"name": name, "namespace": "shop", "uid": name} | ({"deletionTimestamp": "x"} if dying else {})
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": meta, "spec": {"containers": []}, "status": {"podIP": address, "conditions": conditions}}


def test_a_dying_pod_is_no_address_any_more_but_shows_as_terminating_in_the_slice():
    made = service(ports=[{"port": 80}])
    made["metadata"]["uid"] = "s"
    pods = [plain_pod("b", "10.0.0.2", dying=True), plain_pod("a", "10.0.0.1")]
    assert [row["targetRef"]["name"] for row in subsets(made, pods)[0]["addresses"]] == ["a"]
    rows = endpoint_slice(made, pods, {})["endpoints"]
    told = [(row["targetRef"]["name"], row["conditions"]["ready"], row["conditions"]["terminating"]) for row in rows]
    assert told == [("a", True, False), ("b", False, True)]


SICK = {
    "scenario": {
        "nodes": [{"name": "node-1"}],
        "rules": [{"match": {"labels": {"sick": "yes"}}, "probeFails": {"probe": "readiness"}}],
    }
}


def service(**spec):
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {"metadata": {"name": "shop", "namespace": "shop"}, "spec": {"selector": {"app": "shop"}, "ports": ports, **spec}}


async def pod(lab, name, **labels):
    container = lab.container(ports=[{"name": "web", "containerPort": 8080}], readinessProbe={"periodSeconds": 1})
    await lab.create("pods", lab.pod(name, container, labels={"app": "shop", **labels}))


async def addresses(lab):
    subsets = (await lab.get("endpoints", "shop")).get("subsets") or []
    named = [
        {field: sorted(row["targetRef"]["name"] for row in subset.get(field, [])) for field in ("addresses", "notReadyAddresses")}
        for subset in subsets
    ]
    return named[0] if named else {}


@pytest.mark.parametrize("lab", [SICK], indirect=True)
async def test_ready_pods_are_found_and_others_are_kept_apart(lab):
    await lab.create("services", service())
    await pod(lab, "well")
    await pod(lab, "sick", sick="yes")
    await lab.create("pods", lab.pod("stranger", labels={"app": "other"}))
    await lab.pass_time(3)
    assert await addresses(lab) == {"addresses": ["well"], "notReadyAddresses": ["sick"]}
    (subset,) = (await lab.get("endpoints", "shop"))["subsets"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    (row,) = await lab.list("endpointslices", group="discovery.k8s.io")
    assert row["metadata"]["labels"]["kubernetes.io/service-name"] == "shop"
    assert sorted((entry["targetRef"]["name"], entry["conditions"]["ready"]) for entry in row["endpoints"]) == [
        ("sick", False),
        ("well", True),
    ]


async def test_a_pod_that_goes_is_taken_out(lab):
    await lab.create("services", service())
    await pod(lab, "one")
    await lab.pass_time(3)
    assert (await addresses(lab))["addresses"] == ["one"]
    await lab.delete("pods", "one")
    await lab.pass_time(3)
    assert await addresses(lab) == {}


async def test_a_service_that_goes_takes_its_endpoints(lab):
    await lab.create("services", service())
    await lab.pass_time(1)
    await lab.delete("services", "shop")
    await lab.pass_time(2)
    assert await lab.gone("endpoints", "shop")
    assert await lab.list("endpointslices", group="discovery.k8s.io") == []


async def test_a_service_without_selector_is_left_alone(lab):
    await lab.create("services", service(selector=None))
    await lab.pass_time(1)
    assert await lab.gone("endpoints", "shop")

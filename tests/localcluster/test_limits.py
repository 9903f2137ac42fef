"""LimitRanges and ResourceQuotas: what a namespace adds to its pods, and what it refuses."""

import asyncio
import random
from datetime import UTC, datetime

import pytest

from kubernaut.localcluster.controllers import StandInSettings, stand_ins
from tests.localcluster.http import CONFIGMAPS, PODS, configmap, pod

RANGES = "/api/v1/namespaces/example/limitranges"
QUOTAS = "/api/v1/namespaces/example/resourcequotas"
CLAIMS = "/api/v1/namespaces/example/persistentvolumeclaims"
SERVICES = "/api/v1/namespaces/example/services"


def ranged(type_="Container", **bounds):
    return {"metadata": {"name": "r"}, "spec": {"limits": [{"type": type_, **bounds}]}}


def sized(name="p", requests=None, limits=None):
    resources = {"requests": requests or {}, "limits": limits or {}}
    return pod(name, containers=[{"name": "a", "image": "busybox:1", "resources": resources}])


def quota(**spec):
    return {"metadata": {"name": "q"}, "spec": spec}


async def bounded(http, used="0", **spec):
    """Make a quota and count what is there, as its controller would."""
    assert (await http.post(QUOTAS, quota(**spec))).status == 201
    status = {"hard": spec["hard"], "used": dict.fromkeys(spec["hard"], used)}
    counted = await http.patch(f"{QUOTAS}/q/status", {"status": status})
    assert counted.status == 200, counted.body


async def test_a_container_gets_the_requests_and_limits_it_lacks(http):
    made = await http.post(RANGES, ranged(default={"memory": "128Mi"}, defaultRequest={"cpu": "100m"}))
    assert made.body["spec"]["limits"][0]["defaultRequest"] == {"cpu": "100m", "memory": "128Mi"}
    found = (await http.post(PODS, pod())).body
    assert found["spec"]["containers"][0]["resources"] == {
        "limits": {"memory": "128Mi"},
        "requests": {"cpu": "100m", "memory": "128Mi"},
    }
    assert found["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container a; memory limit for container a"
    )
    assert found["status"]["qosClass"] == "Burstable"


async def test_the_largest_that_is_allowed_is_the_default(http):
    await http.post(RANGES, ranged(max={"memory": "1Gi"}))
    found = (await http.post(PODS, pod())).body
    assert found["spec"]["containers"][0]["resources"] == {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}


BOUNDS = {
    "below the least": ({"min": {"cpu": "200m"}}, {"cpu": "100m"}, {}, "minimum cpu usage per Container is 200m, but request is 100m"),
    "above the most": (
        {"max": {"memory": "1Gi"}},
        {},
        {"memory": "2Gi"},
        "maximum memory usage per Container is 1Gi, but limit is 2Gi",
    ),
    "too great a ratio": (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {"cpu": "100m"},
        {"cpu": "300m"},
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
    ),
    "nothing asked": (
        {"type_": "Pod", "min": {"cpu": "200m"}},
        {},
        {},
        "minimum cpu usage per Pod is 200m.  No request is specified",
    ),
}


@pytest.mark.parametrize(("bounds", "requests", "limits", "told"), BOUNDS.values(), ids=BOUNDS)
async def test_a_pod_out_of_bounds_is_refused(http, bounds, requests, limits, told):
    assert (await http.post(RANGES, ranged(**bounds))).status == 201
    refused = await http.post(PODS, sized(requests=requests, limits=limits))
    assert (refused.status, refused.message) == (403, f'pods "p" is forbidden: {told}')


async def test_a_claim_out_of_bounds_is_refused(http):
    await http.post(RANGES, ranged("PersistentVolumeClaim", max={"storage": "1Gi"}))
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    refused = await http.post(CLAIMS, {"metadata": {"name": "c"}, "spec": spec})
    assert refused.message == (
        'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 5Gi'
    )


async def test_a_quota_counts_objects(http):
    await bounded(http, "1", hard={"configmaps": "2", "count/configmaps": "9"})
    assert (await http.post(CONFIGMAPS, configmap("one"))).status == 201
    refused = await http.post(CONFIGMAPS, configmap("two"))
    assert (refused.status, refused.message) == (
        403,
        'configmaps "two" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2',
    )
    assert (await http.patch(f"{CONFIGMAPS}/one", {"data": {"k": "v"}})).status == 200
    await http.delete(f"{CONFIGMAPS}/one")
    await http.patch(f"{QUOTAS}/q/status", {"status": {"used": {"configmaps": "1", "count/configmaps": "1"}}})
    assert (await http.post(CONFIGMAPS, configmap("two"))).status == 201


async def test_a_quota_bounds_what_pods_request(http):
    await bounded(http, hard={"requests.cpu": "1", "limits.memory": "2Gi"})
    silent = await http.post(PODS, pod())
    assert silent.message == 'pods "p" is forbidden: failed quota: q: must specify limits.memory for: a; requests.cpu for: a'
    assert (await http.post(PODS, sized("one", {"cpu": "600m"}, {"memory": "1Gi"}))).status == 201
    refused = await http.post(PODS, sized("two", {"cpu": "600m"}, {"memory": "512Mi"}))
    assert refused.message == (
        'pods "two" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1'
    )


async def test_a_scope_leaves_other_pods_alone(http):
    await bounded(http, hard={"pods": "0"}, scopes=["BestEffort"])
    assert (await http.post(PODS, pod("idle"))).status == 403
    assert (await http.post(PODS, sized("busy", {"cpu": "1"}))).status == 201


async def test_services_count_by_type(http):
    await bounded(http, hard={"services.nodeports": "1", "services": "5"})
    spec = {"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}
    assert (await http.post(SERVICES, {"metadata": {"name": "s"}, "spec": spec})).status == 403
    assert (await http.post(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})).status == 201


async def test_the_quota_controller_tells_what_is_used(cluster, http):
    settings = StandInSettings(lambda: datetime.now(UTC), random.Random(1))
    cluster.run("quotas", stand_ins(cluster.api, settings)["quotas"])
    await http.post(QUOTAS, quota(hard={"configmaps": "9", "requests.memory": "1Gi", "count/secrets": "3"}))
    await http.post(PODS, sized("one", {"memory": "512Mi"}))
    async with asyncio.timeout(60):
        while True:
            status = (await http.get(f"{QUOTAS}/q")).body.get("status") or {}
            if status.get("used") == {"configmaps": "1", "requests.memory": "512Mi", "count/secrets": "0"}:
                break
            await asyncio.sleep(0.02)
    assert status["hard"] == {"configmaps": "9", "requests.memory": "1Gi", "count/secrets": "3"}

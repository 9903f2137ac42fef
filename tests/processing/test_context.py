"""The context of a signal: within its bound whatever the cluster holds, the most telling parts kept."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.api import core
from kubernaut.processing.context import MAX_EVENTS, kubernetes_context
from kubernaut.processing.describe import TEXT_LIMIT
from kubernaut.processing.enrich import READ, Surroundings
from tests.processing.pieces import around, budget, deployment, event, hpa, meta, network_policy, node, pod, quota, replica_set

LIMIT = 10_000


def size(context):
    return len(orjson.dumps(context))


def test_a_whole_context_tells_the_case():
    context = kubernetes_context(
        around(pods=(pod(restarts=4, ready=False),), beside={"HorizontalPodAutoscaler": (hpa(), hpa("other"))}), LIMIT
    )
    assert context["ownerChain"] == ["Pod/web-1-a", "ReplicaSet/web-4", "Deployment/web"]
    assert context["workload"] == {
        "kind": "Deployment",
        "name": "web",
        "generation": 7,
        "replicas": 3,
        "readyReplicas": 1,
        "unavailableReplicas": 2,
        "images": ["registry.example/app:1"],
        "revision": "4",
    }
    [container] = context["pods"][0]["containers"]
    assert container["lastState"] == {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    assert (container["restarts"], container["ready"], container["limits"]) == (4, False, {"memory": "128Mi"})
    assert [each["revision"] for each in context["revisions"]] == [4, 3]
    assert context["node"][0]["conditions"]["Ready"] == "True"
    assert [each["name"] for each in context["hpa"]] == ["scale-web"]
    assert "leftOut" not in context


def test_the_pods_in_most_trouble_come_first_and_all_are_counted():
    pods = tuple(pod(f"web-1-{number}", restarts=number, ready=number != 3) for number in range(9))
    context = kubernetes_context(around(pods=pods), LIMIT)
    assert [each["name"] for each in context["pods"]] == ["web-1-3", "web-1-8", "web-1-7", "web-1-6", "web-1-5"]
    assert context["podCount"] == 9


def test_long_texts_and_long_lists_are_cut():
    many = around(
        events=tuple(event(number, message="x" * 5000) for number in range(40)), pods=(pod(restarts=1, ready=False, message="y" * 5000),)
    )
    context = kubernetes_context(many, 10_240)
    assert len(context["events"]) == MAX_EVENTS
    assert {len(each["message"]) for each in context["events"]} == {TEXT_LIMIT}
    assert len(context["pods"][0]["conditions"][0]) == TEXT_LIMIT


def test_only_services_that_select_the_pods_are_named():
    services = (
        {"metadata": meta("web"), "spec": {"selector": {"app": "web"}}},
        {"metadata": meta("db"), "spec": {"selector": {"app": "db"}}},
        {"metadata": meta("external"), "spec": {}},
    )
    assert kubernetes_context(around(beside={"Service": services}), LIMIT)["services"] == ["web"]


def test_values_of_config_maps_are_never_in_it():
    maps = ({"metadata": meta("settings"), "data": {"url": "hidden-value", "mode": "x"}},)
    context = kubernetes_context(around(beside={"ConfigMap": maps}), LIMIT)
    assert context["configMaps"] == {"settings": ["mode", "url"]}
    assert b"hidden-value" not in orjson.dumps(context)


def test_what_is_too_large_loses_its_least_telling_parts_and_says_which():
    maps = tuple({"metadata": meta(f"map-{number}"), "data": {f"{'key' * 40}-{each}": "" for each in range(10)}} for number in range(10))
    context = kubernetes_context(around(beside={"ConfigMap": maps}), LIMIT)
    assert context["leftOut"] == ["configMaps"]
    assert {"pods", "events", "workload"} <= set(context)


def test_nothing_found_is_nothing_said():
    assert kubernetes_context(Surroundings(None), LIMIT) == {"podCount": 0}


def test_no_secrets_are_read():
    assert core.SECRET not in READ


TEXTS = st.text(st.characters(codec="utf-8"), max_size=3000)
NAMES = st.text("abc-0", min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=6),
    counts=st.tuples(*[st.integers(0, 40)] * 5),
    labels=st.dictionaries(NAMES, NAMES, max_size=40),
    limit=st.integers(1000, 10_240),
)
def test_a_context_keeps_its_bound_whatever_the_cluster_holds(texts, counts, labels, limit):
    pods, events, nodes, revisions, maps = counts
    surroundings = around(
        pods=tuple(
            pod(f"web-{number}-{'n' * 200}", restarts=number, ready=False, message=texts[number % len(texts)], containers=("app", "side"))
            for number in range(pods)
        ),
        events=tuple(event(number, message=texts[number % len(texts)]) for number in range(events)),
        nodes=tuple(node(f"node-{number}") for number in range(nodes)),
        revisions=tuple(replica_set(number) for number in range(revisions)),
        namespace_labels=labels,
        beside={"ConfigMap": tuple({"metadata": meta(f"m{number}"), "data": labels} for number in range(maps))},
    )
    assert size(kubernetes_context(surroundings, limit)) <= limit


@pytest.mark.parametrize("containers", [40, 400])
def test_a_workload_of_many_containers_does_not_break_the_bound(containers):
    names = tuple(f"container-{number}" for number in range(containers))
    large = deployment()
    large["spec"]["template"]["spec"]["containers"] = [{"name": name, "image": f"registry.example/{name}:1"} for name in names]
    context = kubernetes_context(around(pods=(pod(containers=names),), workload=large), 1000)
    assert size(context) <= 1000
    assert "pods" in context["leftOut"]
    assert context["ownerChain"]


def using(*, volume="", environment="", claim=""):
    """Return a pod that uses ConfigMaps and a claim."""
    user = pod()
    volumes = [{"name": "c", "configMap": {"name": volume}}, {"name": "d", "persistentVolumeClaim": {"claimName": claim}}, {"name": "e"}]
    user["spec"]["volumes"] = volumes
    user["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": environment}}]
    return user


def test_config_maps_that_the_pods_use_come_first_and_absent_ones_are_told():
    maps = tuple({"metadata": meta(f"a-{number}"), "data": {"x": "1"}} for number in range(12))
    used = {"metadata": meta("settings"), "data": {"url": "1"}, "binaryData": {"logo": ""}}
    context = kubernetes_context(around(pods=(using(volume="settings", environment="gone"),), beside={"ConfigMap": (*maps, used)}), LIMIT)
    assert list(context["configMaps"].items())[:3] == [("settings", ["logo", "url"]), ("gone", "absent"), ("a-0", ["x"])]
    assert len(context["configMaps"]) == 10


def test_nothing_is_said_of_config_maps_that_could_not_be_read():
    assert "configMaps" not in kubernetes_context(around(pods=(using(volume="settings"),), beside={}), LIMIT)


def test_guards_and_limits_of_the_namespace_are_told():
    beside = {
        "PodDisruptionBudget": ({**budget({"app": "web"}), "status": {"disruptionsAllowed": 0}}, budget({"app": "db"})),
        "NetworkPolicy": (network_policy({}),),
        "ResourceQuota": (quota(hard={"pods": "10", "limits.cpu": "4"}, used={"pods": "10", "limits.cpu": "1"}),),
        "LimitRange": ({"metadata": meta("limits"), "spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}, "ratio": "x"}]}},),
        "PersistentVolumeClaim": (
            {"metadata": meta("data"), "spec": {"resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Pending"}},
            {"metadata": meta("other")},
        ),
    }
    context = kubernetes_context(around(pods=(using(claim="data"),), beside=beside), LIMIT)
    assert context["pdb"] == [{"name": "budget", "disruptionsAllowed": 0}]
    assert context["networkPolicies"] == ["policy"]
    assert context["resourceQuotas"] == [
        {"name": "quota", "hard": {"pods": "10", "limits.cpu": "4"}, "used": {"pods": "10", "limits.cpu": "1"}, "tight": ["pods"]}
    ]
    assert context["limitRanges"] == [{"name": "limits", "limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}]
    assert context["claims"] == [{"name": "data", "phase": "Pending", "storage": "1Gi"}]


def test_secrets_in_messages_stay_out():
    context = kubernetes_context(around(events=(event(message="login with password=hunter2 failed"),)), LIMIT)
    assert context["events"][0]["message"] == "login with password=***REDACTED*** failed"


def test_conditions_are_told_when_they_are_bad_news():
    failing = deployment()
    failing["status"]["conditions"] = [
        {"type": "Available", "status": "True"},
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"},
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"},
    ]
    assert kubernetes_context(around(workload=failing), LIMIT)["workload"]["conditions"] == [
        "Progressing=False ProgressDeadlineExceeded: too slow",
        "ReplicaFailure=True FailedCreate: exceeded quota",
    ]


def test_roll_outs_of_every_kind_of_workload_are_told_with_their_times():
    kept = {"metadata": meta("web-5d9", creationTimestamp="2026-01-01T00:00:00Z"), "revision": 7}
    [told] = kubernetes_context(around(revisions=(kept,)), LIMIT)["revisions"]
    assert told == {"name": "web-5d9", "revision": 7, "createdAt": "2026-01-01T00:00:00Z"}


def test_what_is_cut_is_the_least_telling_and_is_named():
    many = around(events=tuple(event(number, message="x" * 200) for number in range(12)), namespace_labels={"a": "b" * 600})
    whole = kubernetes_context(many, LIMIT)
    less, least = (kubernetes_context(many, size(whole) - bytes_fewer) for bytes_fewer in (300, 2000))
    assert [each.get("leftOut", []) for each in (whole, less, least)] == [[], ["namespaceLabels"], ["events", "namespaceLabels", "node"]]
    assert (len(less["events"]), least["eventCount"]) == (12, 12)
    assert least["events"] == whole["events"][: len(least["events"])] != []

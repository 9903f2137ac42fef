"""The context of a signal: within its bound whatever the cluster holds, the most telling parts kept."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.processing.context import MAX_EVENTS, TEXT_LIMIT, kubernetes_context
from kubernaut.processing.enrich import Surroundings
from tests.processing.pieces import around, deployment, event, hpa, meta, node, pod, replica_set

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

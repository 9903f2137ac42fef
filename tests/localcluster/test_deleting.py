import pytest

from tests.localcluster.http import CONFIGMAPS, NAMESPACES, PODS, WIDGETS, answered, configmap, gone, pod, widget

OWN = f"{NAMESPACES}/example-n"


def finalized(name="one", *finalizers):
    return widget(name) | {"metadata": {"name": name, "finalizers": list(finalizers or ["example.dev/hold"])}}


async def test_a_delete_answers_with_a_status_that_names_the_object(widgets):
    made = (await widgets.post(WIDGETS, widget())).body
    gone = await widgets.delete(f"{WIDGETS}/one")
    assert (gone.status, gone.body["status"]) == (200, "Success")
    assert gone.body["details"] == {"name": "one", "group": "example.dev", "kind": "widgets", "uid": made["metadata"]["uid"]}
    assert (await widgets.delete(f"{WIDGETS}/one")).status == 404


async def test_finalizers_hold_an_object_until_the_last_is_gone(widgets):
    await widgets.post(WIDGETS, finalized())
    dying = (await widgets.delete(f"{WIDGETS}/one")).body["metadata"]
    assert (dying["deletionGracePeriodSeconds"], dying["generation"], "deletionTimestamp" in dying) == (0, 2, True)
    again = (await widgets.delete(f"{WIDGETS}/one")).body["metadata"]
    assert again["resourceVersion"] == dying["resourceVersion"]
    taken = await widgets.post(WIDGETS, widget())
    assert taken.message.startswith("object is being deleted: ")
    more = await widgets.patch(f"{WIDGETS}/one", {"metadata": {"finalizers": ["example.dev/hold", "example.dev/new"]}})
    assert (more.status, "no new finalizers can be added" in more.message) == (422, True)
    released = await widgets.patch(f"{WIDGETS}/one", {"metadata": {"finalizers": None}})
    assert released.status == 200
    assert (await widgets.get(f"{WIDGETS}/one")).status == 404


async def test_a_namespace_keeps_the_finalizers_it_came_with_and_gets_its_own(http):
    spec = {"finalizers": ["example.dev/hold"]}
    made = await http.post(NAMESPACES, {"metadata": {"name": "example-held"}, "spec": spec})
    assert made.body["spec"]["finalizers"] == ["example.dev/hold", "kubernetes"]
    refused = await http.post(NAMESPACES, {"metadata": {"name": "example-bad"}, "spec": {"finalizers": ["hold"]}})
    assert (refused.status, refused.body["details"]["causes"][0]["field"]) == (422, "spec.finalizers[0]")
    await http.ask("PUT", f"{NAMESPACES}/example-held/finalize", made.body | {"spec": {"finalizers": ["kubernetes"]}})
    assert (await http.get(f"{NAMESPACES}/example-held")).body["spec"]["finalizers"] == ["kubernetes"]


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_propagation_is_left_to_the_garbage_collector_as_a_finalizer(widgets, policy, finalizer):
    await widgets.post(WIDGETS, widget())
    dying = await widgets.delete(f"{WIDGETS}/one", propagationPolicy=policy)
    assert dying.body["metadata"]["finalizers"] == [finalizer]


@pytest.mark.parametrize("condition", [{"uid": "11111111-1111-1111-1111-111111111111"}, {"resourceVersion": "1"}], ids=["uid", "version"])
async def test_a_precondition_that_does_not_hold_is_a_conflict(widgets, condition):
    await widgets.post(WIDGETS, widget())
    answer = await widgets.delete(f"{WIDGETS}/one", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": condition})
    assert (answer.status, answer.body["details"]["kind"]) == (409, "Widget")


async def test_an_unknown_policy_is_refused(widgets):
    answer = await widgets.delete(f"{WIDGETS}/one", {"propagationPolicy": "Sideways"})
    assert (answer.status, "propagationPolicy: Unsupported value" in answer.message) == (422, True)


async def test_a_collection_is_deleted_by_selector(http):
    for name in ("a", "b"):
        await http.post(CONFIGMAPS, configmap(name) | {"metadata": {"name": name, "labels": {"name": name}}})
    answer = await http.delete(CONFIGMAPS, labelSelector="name=a")
    assert [row["metadata"]["name"] for row in answer.body["items"]] == ["a"]
    assert (await http.get(f"{CONFIGMAPS}/a")).status == 404
    assert (await http.get(f"{CONFIGMAPS}/b")).status == 200


async def test_a_pod_without_a_node_goes_at_once_and_one_on_a_node_waits_for_its_kubelet(http):
    await http.post(PODS, pod())
    assert (await http.delete(f"{PODS}/p")).body["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (await http.get(f"{PODS}/p")).status == 404
    await http.post(PODS, pod(nodeName="n"))
    dying = (await http.delete(f"{PODS}/p", gracePeriodSeconds="5")).body["metadata"]
    assert dying["deletionGracePeriodSeconds"] == 5
    assert (await http.get(f"{PODS}/p")).status == 200
    await http.delete(f"{PODS}/p", gracePeriodSeconds="0")
    assert (await http.get(f"{PODS}/p")).status == 404


async def test_a_dying_namespace_takes_nothing_new_and_goes_when_it_is_finalized(http):
    await http.post(NAMESPACES, {"metadata": {"name": "example-n"}})
    held = {"metadata": {"name": "one", "finalizers": ["example.dev/hold"]}}
    assert (await http.post(f"{OWN}/configmaps", held)).status == 201
    dying = (await http.delete(OWN)).body
    assert dying["status"] == {"phase": "Terminating"}
    refused = await http.post(f"{OWN}/configmaps", configmap("two"))
    assert (refused.status, refused.body["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    await http.delete(f"{OWN}/configmaps/one")
    await http.patch(f"{OWN}/configmaps/one", {"metadata": {"finalizers": None}})
    del dying["metadata"]["resourceVersion"]  # where there is a controller, it has told its conditions since, or has finalized it
    assert (await http.ask("PUT", f"{OWN}/finalize", dying | {"spec": {}})).status in {200, 404, 409}
    await gone(http, OWN)


async def test_every_namespace_has_its_service_account_and_those_of_the_cluster_stay(http):
    await http.post(NAMESPACES, {"metadata": {"name": "example-n"}})
    first = (await answered(http, f"{OWN}/serviceaccounts/default")).body["metadata"]["uid"]
    assert (await http.delete(f"{OWN}/serviceaccounts/default")).status == 200
    another = await answered(
        http, f"{OWN}/serviceaccounts/default", lambda found: found.status == 200 and found.body["metadata"]["uid"] != first
    )
    assert another.body["metadata"]["name"] == "default"
    assert (await http.delete(f"{NAMESPACES}/default")).message == 'namespaces "default" is forbidden: this namespace may not be deleted'

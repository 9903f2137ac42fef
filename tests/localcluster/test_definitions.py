import pytest

from tests.localcluster.http import CRDS, WIDGETS, answered, definition, gone, widget, widget_definition
from tests.world import eventually

WIDGETS_CRD = f"{CRDS}/widgets.example.dev"


def condition(crd, type_):
    return next((row["status"] for row in crd.get("status", {}).get("conditions", ()) if row["type"] == type_), None)


async def test_a_kind_is_served_as_soon_as_its_definition_is_made(http):
    assert (await http.get(WIDGETS)).status == 404
    made = await http.post(CRDS, widget_definition())
    assert made.body["spec"]["names"] == {
        "plural": "widgets",
        "singular": "widget",
        "shortNames": ["wi"],
        "kind": "Widget",
        "listKind": "WidgetList",
    }
    assert (await answered(http, WIDGETS)).body["items"] == []
    assert condition((await http.get(WIDGETS_CRD)).body, "Established") == "True"


async def test_a_definition_takes_its_objects_along(widgets):
    await widgets.post(WIDGETS, widget())
    dying = (await widgets.delete(WIDGETS_CRD)).body
    assert condition(dying, "Terminating") == "True"
    await gone(widgets, WIDGETS_CRD)
    await gone(widgets, WIDGETS)
    assert (await widgets.post(CRDS, widget_definition())).status == 201
    assert (await answered(widgets, WIDGETS)).body["items"] == []


async def test_a_definition_waits_for_the_finalizers_of_its_objects(widgets):
    held = widget() | {"metadata": {"name": "one", "finalizers": ["example.dev/hold"]}}
    await widgets.post(WIDGETS, held)
    await widgets.delete(WIDGETS_CRD)
    assert (await widgets.get(WIDGETS_CRD)).status == 200
    await widgets.patch(f"{WIDGETS}/one", {"metadata": {"finalizers": None}})
    await gone(widgets, WIDGETS_CRD)


async def test_a_name_in_use_is_accepted_once_it_is_free(widgets):
    await widgets.post(CRDS, definition("widgets2"))
    clash = f"{CRDS}/widgets2.example.dev"
    refused = await answered(widgets, clash, lambda found: condition(found.body, "NamesAccepted"))
    assert (condition(refused.body, "NamesAccepted"), condition(refused.body, "Established")) == ("False", "False")
    await widgets.delete(WIDGETS_CRD)
    await answered(widgets, clash, lambda found: condition(found.body, "Established") == "True")


async def test_a_tighter_schema_holds_for_new_objects_and_lets_old_ones_be(widgets):
    await widgets.post(WIDGETS, widget())
    tight = widget_definition()["spec"]["versions"]
    tight[0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "string", "maxLength": 2}}}},
    }
    await widgets.patch(WIDGETS_CRD, {"spec": {"versions": tight}})

    async def refused():
        return (await widgets.post(WIDGETS, widget("two"), dryRun="All")).status == 422

    await eventually(refused)
    assert (await widgets.patch(f"{WIDGETS}/one", {"metadata": {"labels": {"a": "b"}}})).status == 200


async def test_versions_share_their_objects_and_the_best_is_preferred(http):
    second = {**widget_definition()["spec"]["versions"][0], "name": "v1", "storage": False}
    crd = widget_definition()
    crd["spec"]["versions"].append(second)
    await http.post(CRDS, crd)
    await answered(http, WIDGETS)
    await http.post(WIDGETS, widget())
    seen = (await answered(http, f"{WIDGETS.replace('v1alpha1', 'v1')}/one")).body
    assert seen["apiVersion"] == "example.dev/v1"
    group = (await answered(http, "/apis/example.dev", lambda found: found.status == 200 and len(found.body["versions"]) == 2)).body
    assert group["preferredVersion"]["version"] == "v1"


BAD = [
    pytest.param({"metadata": {"name": "other.example.dev"}}, 'must be spec.names.plural+"."+spec.group', id="name"),
    pytest.param(
        {"versions": [{"name": "v1", "served": True, "storage": False}]}, "exactly one version marked as storage version", id="storage"
    ),
    pytest.param(
        {"versions": [{"name": "v1", "served": True, "storage": True}]},
        "spec.versions[0].schema.openAPIV3Schema: Required value",
        id="schema",
    ),
]


@pytest.mark.parametrize(("change", "words"), BAD)
async def test_a_bad_definition_is_refused(http, change, words):
    crd = definition()
    crd["metadata"] |= change.get("metadata", {})
    crd["spec"] |= {key: value for key, value in change.items() if key != "metadata"}
    answer = await http.post(CRDS, crd)
    assert answer.status == 422
    assert words in answer.message


async def test_the_scale_of_a_custom_kind_is_where_it_says(http):
    paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    await http.post(CRDS, definition(subresources={"status": {}, "scale": paths}))
    await answered(http, WIDGETS)
    await http.post(WIDGETS, widget())
    scaled = await http.patch(f"{WIDGETS}/one/scale", {"spec": {"replicas": 4}})
    assert (scaled.body["kind"], scaled.body["spec"]) == ("Scale", {"replicas": 4})
    assert (await http.get(f"{WIDGETS}/one")).body["spec"]["replicas"] == 4

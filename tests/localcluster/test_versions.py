"""Definitions with several versions, dying ones, and conversions that only a webhook could make."""

import pytest

from tests.localcluster.http import APPLY, CRDS, WIDGETS, definition, widget

NEW = WIDGETS.replace("v1alpha1", "v1")
PATH = f"{CRDS}/widgets.example.dev"


def two_versions(**spec):
    made = definition()
    made["spec"]["versions"].append(made["spec"]["versions"][0] | {"name": "v1", "storage": False})
    made["spec"] |= spec
    return made


async def test_each_version_shows_the_same_object_over_a_change_of_storage(http):
    await http.post(CRDS, two_versions())
    assert (await http.post(WIDGETS, widget())).status == 201
    now = (await http.get(PATH)).body
    for row in now["spec"]["versions"]:
        row["storage"] = row["name"] == "v1"
    assert (await http.ask("PUT", PATH, now)).body["status"]["storedVersions"] == ["v1alpha1", "v1"]
    for path, version in ((WIDGETS, "example.dev/v1alpha1"), (NEW, "example.dev/v1")):
        assert (await http.get(f"{path}/one")).body["apiVersion"] == version
        assert [item["apiVersion"] for item in (await http.get(path)).body["items"]] == [version]
        assert (await http.patch(f"{path}/one", {"spec": {"size": "large"}})).body["apiVersion"] == version


WEBHOOK = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/convert"}}}


async def test_what_only_a_conversion_webhook_could_give_is_refused(cluster, http):
    assert cluster.url
    await http.post(CRDS, two_versions(conversion=WEBHOOK))
    assert (await http.post(WIDGETS, widget())).status == 201
    refused = await http.get(f"{NEW}/one")
    assert (refused.status, refused.body["reason"]) == (501, "NotImplemented")
    assert "which the embedded cluster does not call: ask for the storage version" in refused.message


@pytest.mark.parametrize(
    ("conversion", "words"),
    [
        ({"strategy": "Odd"}, 'spec.conversion.strategy: Unsupported value: "Odd": supported values: "None", "Webhook"'),
        ({"strategy": "Webhook"}, "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook"),
        (WEBHOOK | {"strategy": "None"}, "spec.conversion.webhookClientConfig: Forbidden"),
    ],
)
async def test_a_conversion_at_fault_is_refused(http, conversion, words):
    refused = await http.post(CRDS, two_versions(conversion=conversion))
    assert (refused.status, words in refused.message) == (422, True)


async def test_a_dying_definition_can_be_applied_but_takes_no_new_objects(http):
    await http.post(CRDS, definition())
    held = widget()
    held["metadata"]["finalizers"] = ["example.dev/held"]
    await http.post(WIDGETS, held)
    await http.delete(PATH)
    assert (await http.patch(PATH, definition(), APPLY, fieldManager="tests", force="true")).status == 200
    refused = await http.post(WIDGETS, widget("two"))
    assert (refused.status, refused.message) == (405, "create not allowed while custom resource definition is terminating")
    await http.patch(f"{WIDGETS}/one", {"metadata": {"finalizers": None}})

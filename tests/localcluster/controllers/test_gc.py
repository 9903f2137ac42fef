"""Garbage collection by owner references."""

import pytest

pytestmark = pytest.mark.parametrize("lab", [{"names": ("gc", "namespaces")}], indirect=True)


async def owner(lab, name="owner", **meta):
    return await lab.create("configmaps", {"metadata": {"name": name, "namespace": "shop", **meta}})


async def owned(lab, name, *owners, namespace="shop", block=False, **meta):
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": row["metadata"]["name"],
            "uid": row["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for row in owners
    ]
    return await lab.create("configmaps", {"metadata": {"name": name, "namespace": namespace, "ownerReferences": references, **meta}})


async def test_in_the_background_the_owner_goes_at_once_and_dependents_follow(lab):
    top = await owner(lab)
    middle = await owned(lab, "middle", top)
    await owned(lab, "leaf", middle)
    await lab.pass_time(1)
    await lab.delete("configmaps", "owner", propagation="Background")
    assert await lab.gone("configmaps", "owner")
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "middle")
    assert await lab.gone("configmaps", "leaf")


async def test_in_the_foreground_the_owner_waits_for_dependents_that_block(lab):
    top = await owner(lab)
    await owned(lab, "held", top, block=True, finalizers=["example.dev/hold"])
    await lab.delete("configmaps", "owner", propagation="Foreground")
    await lab.pass_time(2)
    assert not await lab.gone("configmaps", "owner")
    assert "deletionTimestamp" in (await lab.get("configmaps", "held"))["metadata"]
    await lab.patch("configmaps", "held", {"metadata": {"finalizers": None}})
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "held")
    assert await lab.gone("configmaps", "owner")


async def test_in_the_foreground_a_dependent_that_does_not_block_is_not_waited_for(lab):
    top = await owner(lab)
    await owned(lab, "held", top, finalizers=["example.dev/hold"])
    await lab.delete("configmaps", "owner", propagation="Foreground")
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "owner")
    assert not await lab.gone("configmaps", "held")


async def test_orphans_live_on_without_the_reference(lab):
    await owned(lab, "child", await owner(lab))
    await lab.delete("configmaps", "owner", propagation="Orphan")
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "owner")
    assert "ownerReferences" not in (await lab.get("configmaps", "child"))["metadata"]


async def test_a_dependent_of_two_lives_until_both_are_gone(lab):
    one, two = await owner(lab, "one"), await owner(lab, "two")
    await owned(lab, "child", one, two)
    await lab.delete("configmaps", "one")
    await lab.pass_time(2)
    references = (await lab.get("configmaps", "child"))["metadata"]["ownerReferences"]
    assert [row["name"] for row in references] in (["two"], ["one", "two"])
    await lab.delete("configmaps", "two")
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "child")


async def test_an_owner_that_never_was_takes_its_dependent_with_it(lab):
    await owned(lab, "child", {"metadata": {"name": "none", "uid": "11111111-2222-3333-4444-555555555555"}})
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "child")


async def test_an_owner_in_another_namespace_counts_as_absent(lab):
    await lab.create("namespaces", {"metadata": {"name": "other"}})
    await owned(lab, "child", await owner(lab), namespace="other")
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "child", "other")
    assert not await lab.gone("configmaps", "owner")


async def test_a_namesake_of_the_owner_is_not_the_owner(lab):
    top = await owner(lab)
    await lab.delete("configmaps", "owner", propagation="Orphan")
    await lab.pass_time(1)
    await owner(lab)
    await owned(lab, "child", top)
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "child")


async def test_a_dependent_whose_owner_kind_is_unknown_is_kept(lab):
    reference = {"apiVersion": "example.dev/v1", "kind": "Widget", "name": "w", "uid": "11111111-2222-3333-4444-555555555555"}
    await lab.create("configmaps", {"metadata": {"name": "child", "namespace": "shop", "ownerReferences": [reference]}})
    await lab.pass_time(5)
    assert not await lab.gone("configmaps", "child")


async def test_what_lost_its_owner_while_the_collector_was_down_is_collected_at_the_next_start(lab):
    await owned(lab, "child", await owner(lab))
    await lab.kill()
    await lab.delete("configmaps", "owner")
    assert not await lab.gone("configmaps", "child")
    lab.start()
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "child")


WIDGETS = {
    "metadata": {"name": "widgets.example.dev"},
    "spec": {
        "group": "example.dev",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


async def test_custom_resources_own_and_are_owned(lab):
    await lab.create("customresourcedefinitions", WIDGETS, "apiextensions.k8s.io")
    await lab.pass_time(2)
    widget = await lab.create("widgets", {"metadata": {"name": "w", "namespace": "shop"}}, "example.dev")
    reference = {"apiVersion": "example.dev/v1", "kind": "Widget", "name": "w", "uid": widget["metadata"]["uid"]}
    await lab.create("configmaps", {"metadata": {"name": "child", "namespace": "shop", "ownerReferences": [reference]}})
    await lab.pass_time(2)
    assert not await lab.gone("configmaps", "child")
    await lab.delete("widgets", "w", group="example.dev")
    await lab.pass_time(2)
    assert await lab.gone("configmaps", "child")

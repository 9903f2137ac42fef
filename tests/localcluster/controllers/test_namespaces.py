"""Namespaces: furnished while they live, emptied when they go."""

import pytest

from kubernaut.localcluster.errors import ApiError


async def test_a_new_namespace_is_furnished(lab):
    assert (await lab.get("serviceaccounts", "default"))["metadata"]["namespace"] == "shop"
    held = await lab.get("configmaps", "kube-root-ca.crt")
    assert held["data"] == {"ca.crt": "PEM"}
    assert held["metadata"]["annotations"]["kubernetes.io/description"].startswith("Contains a CA bundle")


async def test_what_a_namespace_needs_comes_back_when_deleted_or_changed(lab):
    await lab.delete("serviceaccounts", "default")
    await lab.patch("configmaps", "kube-root-ca.crt", {"data": {"ca.crt": "forged"}})
    await lab.pass_time(1)
    assert not await lab.gone("serviceaccounts", "default")
    assert (await lab.get("configmaps", "kube-root-ca.crt"))["data"] == {"ca.crt": "PEM"}


async def test_a_namespace_is_emptied_and_goes(lab):
    await lab.create("configmaps", {"metadata": {"name": "a", "namespace": "shop"}})
    await lab.create("deployments", lab.deployment(), "apps")
    await lab.pass_time(3)
    await lab.delete("namespaces", "shop", "")
    await lab.pass_time(60)
    assert await lab.gone("namespaces", "shop", "")
    assert await lab.list("pods") == []
    assert await lab.list("events") == []


async def test_a_finalizer_holds_a_namespace_up_and_the_status_says_so(lab):
    await lab.create("configmaps", {"metadata": {"name": "held", "namespace": "shop", "finalizers": ["example.dev/hold"]}})
    await lab.delete("namespaces", "shop", "")
    await lab.pass_time(5)
    status = (await lab.get("namespaces", "shop", ""))["status"]
    assert status["phase"] == "Terminating"
    told = {row["type"]: (row["status"], row["reason"], row["message"]) for row in status["conditions"]}
    assert told["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps. has 1 resource instances",
    )
    assert told["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.dev/hold in 1 resource instances",
    )
    with pytest.raises(ApiError) as refused:
        await lab.create("configmaps", {"metadata": {"name": "late", "namespace": "shop"}})
    assert refused.value.code == 403
    await lab.patch("configmaps", "held", {"metadata": {"finalizers": None}})
    await lab.pass_time(2)
    assert await lab.gone("namespaces", "shop", "")

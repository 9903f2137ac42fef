"""Claims and the volumes they are bound to."""


def claim(**spec):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}, **spec}
    return {"metadata": {"name": "data", "namespace": "shop"}, "spec": spec}


def volume(name, size, **spec):
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}, **spec}
    return {"metadata": {"name": name}, "spec": spec}


async def bound(lab):
    held = await lab.get("persistentvolumeclaims", "data")
    return held["status"].get("phase"), held["spec"].get("volumeName")


async def test_the_smallest_volume_that_is_large_enough_is_taken(lab):
    for name, size in (("small", "1Gi"), ("fits", "6Gi"), ("large", "50Gi")):
        await lab.create("persistentvolumes", volume(name, size))
    await lab.create("persistentvolumeclaims", claim(storageClassName=""))
    await lab.pass_time(2)
    assert await bound(lab) == ("Bound", "fits")
    held = await lab.get("persistentvolumes", "fits", "")
    assert held["status"]["phase"] == "Bound"
    assert held["spec"]["claimRef"]["name"] == "data"


async def test_a_class_makes_a_volume_and_the_default_class_is_taken_where_none_is_named(lab):
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    await lab.create(
        "storageclasses", {"metadata": {"name": "std", "annotations": annotations}, "provisioner": "example.dev/p"}, "storage.k8s.io"
    )
    made = await lab.create("persistentvolumeclaims", claim())
    await lab.pass_time(2)
    assert await bound(lab) == ("Bound", f"pvc-{made['metadata']['uid']}")
    assert (await lab.get("persistentvolumeclaims", "data"))["spec"]["storageClassName"] == "std"


async def test_a_claim_nobody_can_satisfy_waits_and_says_why(lab):
    await lab.create("persistentvolumeclaims", claim())
    await lab.pass_time(2)
    assert (await bound(lab))[0] == "Pending"
    assert ("FailedBinding", "no persistent volumes available for this claim and no storage class is set") in await lab.events()
    await lab.create("persistentvolumes", volume("late", "5Gi"))
    await lab.pass_time(2)
    assert await bound(lab) == ("Bound", "late")


async def test_a_claim_that_asks_for_more_grows_where_its_class_lets_it(lab):
    for name, more in (("fixed", {}), ("elastic", {"allowVolumeExpansion": True})):
        await lab.create("storageclasses", {"metadata": {"name": name}, "provisioner": "example.dev/p", **more}, "storage.k8s.io")
        await lab.create("persistentvolumeclaims", {**claim(storageClassName=name), "metadata": {"name": name, "namespace": "shop"}})
    await lab.pass_time(2)
    for name in ("fixed", "elastic"):
        await lab.patch("persistentvolumeclaims", name, {"spec": {"resources": {"requests": {"storage": "8Gi"}}}})
    await lab.pass_time(2)
    sizes = {name: (await lab.get("persistentvolumeclaims", name))["status"]["capacity"]["storage"] for name in ("fixed", "elastic")}
    assert sizes == {"fixed": "5Gi", "elastic": "8Gi"}

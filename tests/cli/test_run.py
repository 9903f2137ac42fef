"""`kubernaut run` as an operator runs it: against a cluster that is not ours, prepared with kubectl alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from kubernaut.localcluster.pipelines import tekton_crds
from kubernaut.wiring import PARTS
from tests.cli.conftest import PATIENCE, Shell

pytestmark = pytest.mark.xdist_group("run")
SYSTEM = ("-n", "kubernaut-system")
DEPLOY = Path(__file__).parents[2] / "deploy"
SIGNALS = "/api/v1/signals/prometheus"
ROOMY = {"lease": 15, "renew": 10, "retry": 1}
QUICK = {"lease": 2, "renew": 1.5, "retry": 0.2}


class Cluster(Shell):
    """A bare cluster with an operator's shell."""

    @property
    def place(self):
        """Where the kubeconfig is."""
        return self.home

    def settings(self, name="settings", **changes):
        """Write a settings file for free ports and SQLite; return its path."""
        database = f"sqlite+aiosqlite:///{self.home / name}.db"
        tree = {
            "gateway": {"port": 0, "managed_only": False},
            "orchestration": {"managed_only": False},
            "notification": {"port": 0},
            "datastorage": {"port": 0, "database": database},
            "leader": ROOMY,
        }
        path = self.home / f"{name}.yaml"
        path.write_text(yaml.safe_dump(tree | changes))
        return path

    @contextmanager
    def replica(self, *parts, settings):
        """Run parts while the context lasts; what is left of them at its end is killed."""
        arguments = (*parts, "--config", str(settings), "--kubeconfig", str(self.place / "kubeconfig"))
        process = self.start("run", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            yield Replica(process)
        finally:
            process.kill()
            process.communicate()

    def case(self, namespace):
        """Return the one case whose signal is about a namespace."""
        found = json.loads(self.kubectl("get", "rr", *SYSTEM, "-o", "json"))["items"]
        [name] = [each["metadata"]["name"] for each in found if each["spec"]["targetResource"].startswith(f"{namespace}/")]
        return name

    def until(self, name, path):
        """Wait until a case is as a JSON path says."""
        self.kubectl("wait", *SYSTEM, f"rr/{name}", f"--for=jsonpath={path}", f"--timeout={PATIENCE}s")

    def holder(self):
        """Return who holds the lease of the whole system."""
        return self.kubectl("get", "lease", "kubernaut", *SYSTEM, "-o", "jsonpath={.spec.holderIdentity}")


class Replica:
    """A running `kubernaut run`, read by the log lines that it writes."""

    def __init__(self, process):
        self.process = process
        self.urls = {}

    def until(self, event):
        """Read the log until something happened; return that line."""
        for text in self.process.stderr:
            line = json.loads(text)
            if line["event"] == "listening":
                self.urls[line["service"].removeprefix("kubernaut ")] = line["url"]
            if line["event"] == event:
                return line
        raise AssertionError(f"ended with {self.process.wait()} before {event!r}")

    def ready(self):
        """Read on until the gateway is there."""
        while "gateway" not in self.urls:
            self.until("listening")
        return self

    def alert(self, namespace):
        """Send the alert of a pod that does not exist, as Alertmanager does; return the answer's status."""
        labels = {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": namespace, "pod": "lost-0"}
        alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f00"}
        body = json.dumps({"version": "4", "status": "firing", "receiver": "kubernaut", "alerts": [alert]}).encode()
        asked = urllib.request.Request(self.urls["gateway"] + SIGNALS, body, {"Content-Type": "application/json"})  # noqa: S310  (our own)
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:  # noqa: S310
            return answer.status

    def fetch(self, path):
        """Return what the process answers on its probe's port."""
        with urllib.request.urlopen(self.urls["probe"] + path, timeout=PATIENCE) as answer:  # noqa: S310  (our own)
            return answer.read().decode()

    def stop(self, number=signal.SIGTERM):
        """Ask it to stop; return its exit code and what else it wrote."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out + err


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Give a cluster that was prepared as the documentation says: definitions and manifests by kubectl, Tekton's kinds beside them."""
    cluster = Cluster(tmp_path_factory.mktemp("operator"))
    arguments = [sys.executable, "-m", "tests.cli.bare", str(cluster.place / "kubeconfig")]
    server = subprocess.Popen(arguments, cwd=DEPLOY.parent, env=os.environ | cluster.env, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "serving\n"
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(tekton_crds()))
    cluster.kubectl("apply", "-f", "-", stdin=cluster.kubernaut("crds"))
    for manifest in ("namespaces", "identities", "approval-policy"):
        cluster.kubectl("apply", "-f", str(DEPLOY / f"{manifest}.yaml"))
    yield cluster
    server.terminate()
    server.communicate(timeout=PATIENCE)
    assert server.returncode == 0


def test_an_alert_without_a_cause_ends_with_a_person_told_and_the_system_stops_as_asked(bare):
    with bare.replica("all", settings=bare.settings()) as replica:
        replica.until("leading")
        assert replica.alert("shop") == 201
        name = bare.case("shop")
        bare.kubectl("wait", *SYSTEM, f"rr/{name}", "--for=condition=Ended", f"--timeout={PATIENCE}s")
        case = json.loads(bare.kubectl("get", "rr", name, *SYSTEM, "-o", "json"))["status"]
        assert case["overallPhase"] in {"Completed", "Failed"}
        assert "I don't know" in bare.kubectl("get", "aia", f"{name}-analysis", *SYSTEM, "-o", "yaml")
        told = json.loads(bare.kubectl("get", "notificationrequests", *SYSTEM, "-o", "json"))["items"]
        assert [note["status"]["phase"] for note in told if note["metadata"]["name"].startswith(name)] == ["Sent"]
        trail = bare.kubernaut("timeline", name, "--data-storage", replica.urls["data storage"])
        assert "I don't know" in trail
        code, _ = replica.stop()
    assert code == 0
    assert bare.holder() == "", "the lease is given back, so that the next leader need not wait"


def test_parts_run_as_processes_of_their_own_which_meet_in_the_cluster(bare):
    with (
        bare.replica("gateway", settings=bare.settings("gateway")) as gateway,
        bare.replica("orchestration", "processing", settings=bare.settings("rest", probe={"port": 0})) as rest,
    ):
        gateway.ready().until("leading")
        rest.until("leading")
        assert json.loads(rest.fetch("/readyz"))["status"] == "ready"
        assert "kubernaut_reconcile" in rest.fetch("/metrics"), "controllers show their metrics without a service of their own"
        assert gateway.alert("parted") == 201
        bare.until(bare.case("parted"), "{.status.overallPhase}=Analyzing")
        assert [gateway.stop()[0], rest.stop(signal.SIGINT)[0]] == [0, 0]


def test_the_manifests_that_run_the_parts_are_applied_and_a_part_starts_with_their_settings(bare):
    bare.kubectl("apply", "-k", str(DEPLOY))
    bare.kubectl("apply", "-k", str(DEPLOY / "run"))
    made = bare.kubectl("get", "deployments", *SYSTEM, "-o", "name").split()
    assert made == sorted(f"deployment.apps/kubernaut-{part}" for part in PARTS)
    shared = yaml.safe_load(bare.kubectl("get", "configmap", "kubernaut-settings", *SYSTEM, "-o", r"jsonpath={.data.settings\.yaml}"))
    path = bare.home / "shared.yaml"
    path.write_text(yaml.safe_dump(shared | {"probe": {"port": 0}, "services": {}}))
    with bare.replica("processing", settings=path) as processing:
        processing.until("leading")
        assert json.loads(processing.fetch("/readyz"))["status"] == "ready"
        assert processing.stop()[0] == 0


def test_of_two_replicas_one_leads_and_when_it_is_killed_the_other_ends_the_case(bare):
    with bare.replica("all", settings=bare.settings("one", leader=QUICK)) as first:
        leader = first.until("leading")["identity"]
        with bare.replica("all", settings=bare.settings("two", leader=QUICK)) as second:
            assert second.ready().alert("replicas") == 201, "a gateway takes alerts whether or not its process leads"
            first.process.kill()
            taken = second.until("leading")["identity"]
            assert [taken != leader, bare.holder()] == [True, taken]
            bare.kubectl("wait", *SYSTEM, f"rr/{bare.case('replicas')}", "--for=condition=Ended", f"--timeout={PATIENCE}s")
            assert second.stop()[0] == 0


def test_a_replica_that_waits_to_lead_stops_as_asked_and_leaves_the_lease_alone(bare):
    with bare.replica("all", settings=bare.settings("one")) as first:
        leader = first.until("leading")["identity"]
        with bare.replica("all", settings=bare.settings("two")) as second:
            assert second.ready().stop()[0] == 0
        assert bare.holder() == leader
        assert first.stop()[0] == 0


def test_bad_settings_are_told_all_at_once(bare):
    changes = {"gateway": {"port": 99999, "hots": "x"}, "leader": {"lease": 1, "renew": 2}, "nope": 1}
    path = bare.settings("bad", **changes)
    text = bare.kubernaut("run", "all", "--config", str(path), "--kubeconfig", str(bare.place / "kubeconfig"), code=2)
    for place in ("gateway.port", "gateway.hots", "leader", "nope"):
        assert f"  - {place}: " in text
    assert "Traceback" not in text


@pytest.mark.parametrize("part", ["gateway", "notification", "datastorage"])
def test_a_taken_port_is_told_in_a_sentence(bare, part):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        section = {"port": port} | ({"database": f"sqlite+aiosqlite:///{bare.home}/taken.db"} if part == "datastorage" else {})
        path = bare.settings("taken", **{part: section})
        text = bare.kubernaut("run", part, "--config", str(path), "--kubeconfig", str(bare.place / "kubeconfig"), code=1)
    assert f"kubernaut: cannot listen on 127.0.0.1:{port}: Address already in use. Stop what listens there" in text
    assert "Traceback" not in text

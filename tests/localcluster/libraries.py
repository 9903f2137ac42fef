"""What tests of client libraries share: a kubeconfig whose cluster has the namespaces they need."""

import contextlib
import json
import subprocess

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.threaded import threaded
from tests.localcluster.test_kubectl import KUBECTL


@contextlib.contextmanager
def reachable(anywhere, home, namespaces, definitions):
    """Give the kubeconfig of a foreign cluster or of an embedded one in a thread, which has the namespaces."""
    with contextlib.ExitStack() as stack:
        path = anywhere
        if not path:
            path = home / "kubeconfig"
            path.write_text(json.dumps(stack.enter_context(threaded(ClusterSettings(tls=True, anonymous=False))).kubeconfig()))
        stack.enter_context(furnished(path, namespaces, definitions))
        yield path


@contextlib.contextmanager
def furnished(path, namespaces, definitions):
    """Make the namespaces, and delete them and the definitions in the end."""

    def kubectl(*words):
        subprocess.run([str(KUBECTL), "--kubeconfig", path, *words], check=True, capture_output=True)

    for name in namespaces:
        kubectl("create", "namespace", name)
    try:
        yield
    finally:
        kubectl("delete", "namespace", *namespaces, "--wait=false")
        kubectl("delete", "crd", *definitions, "--ignore-not-found", "--wait=false")

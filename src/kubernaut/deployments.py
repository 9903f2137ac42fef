"""The parts as Deployments of a cluster: one for each, replicas that elect a leader, nobody with more rights than the part needs."""

from typing import Final

import yaml

from kubernaut.api.base import Obj
from kubernaut.rights import DATASTORAGE, OWN, account_of

IMAGE: Final = "kubernaut:latest"
"""Replaced by whoever deploys: `kustomize edit set image kubernaut=YOUR-REGISTRY/kubernaut@sha256:…`."""
SETTINGS: Final = "kubernaut-settings"
DATABASE: Final = "kubernaut-database"
"""The Secret whose key `url` is the SQLAlchemy URL of the audit database."""
SIGNING: Final = "kubernaut-signing"
"""The Secret whose key `key.pem` signs checkpoints and exports."""
ANSWERS: Final = "kubernaut-answers"
"""The Service through which people's answers come in, and the Secret whose key `key` seals links and buttons, where that is set up."""
AUDIENCE: Final = "kubernaut"
PORTS: Final = {"gateway": 8080, "notification": 8086, DATASTORAGE: 8085}
"""Of the parts that serve HTTP."""
ANSWERS_PORT: Final = 8087
PROBE: Final = 8081
REPLICAS: Final = 2
FILE: Final = "settings.yaml"
_CONFIG: Final = "/etc/kubernaut"
_TOKEN: Final = "/var/run/secrets/kubernaut"  # noqa: S105  (a path)
_KEY: Final = "/var/run/secrets/signing"
_ANSWERS: Final = "/var/run/secrets/answers"


def settings(namespace: str) -> Obj:
    """Return the ConfigMap of the settings that all parts share: services listen to the cluster, and ask callers for a token."""
    access = {"enabled": True, "audiences": [AUDIENCE]}
    services = {part: f"http://{account_of(part)}.{namespace}:{PORTS[part]}" for part in (DATASTORAGE, "notification")}
    tree: Obj = {
        "services": {**services, "token_file": f"{_TOKEN}/token"},
        "probe": {"host": "0.0.0.0", "port": PROBE},
        **{part: {"host": "0.0.0.0", "access": access} for part in PORTS},
    }
    tree[DATASTORAGE]["signing_key"] = f"{_KEY}/key.pem"
    data = {FILE: yaml.safe_dump(tree, sort_keys=False)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SETTINGS, "namespace": namespace}, "data": data}


def deployments(namespace: str) -> list[Obj]:
    """Return a Deployment for each part."""
    return [_deployment(part, namespace) for part in (DATASTORAGE, *OWN)]


def services(namespace: str) -> list[Obj]:
    """Return a Service for each part that serves HTTP, and one for people's answers, which alone an Ingress may lead to."""
    return [*(_service(part, port, namespace) for part, port in PORTS.items()), _answers(namespace)]


def _deployment(part: str, namespace: str) -> Obj:
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": _labels(part)},
        "template": {"metadata": {"labels": _labels(part)}, "spec": _pod(part)},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(part, namespace), "spec": spec}


def _service(part: str, port: int, namespace: str) -> Obj:
    ports = [{"name": "http", "port": port, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(part, namespace),
        "spec": {"selector": _labels(part), "ports": ports},
    }


def _answers(namespace: str) -> Obj:
    service = _service("notification", ANSWERS_PORT, namespace)
    service["metadata"]["name"] = ANSWERS
    service["spec"]["ports"] = [{"name": "answers", "port": ANSWERS_PORT, "targetPort": "answers"}]
    return service


def _pod(part: str) -> Obj:
    token = {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": 3600, "path": "token"}}
    volumes: list[Obj] = [
        {"name": "settings", "configMap": {"name": SETTINGS}},
        {"name": "token", "projected": {"sources": [token]}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if part == DATASTORAGE:
        volumes.append({"name": "signing", "secret": {"secretName": SIGNING}})
    if part == "notification":
        volumes.append({"name": "answers", "secret": {"secretName": ANSWERS, "optional": True}})
    return {
        "serviceAccountName": account_of(part),
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(part)],
        "volumes": volumes,
    }


def _container(part: str) -> Obj:
    ports = [{"name": "probe", "containerPort": PROBE}]
    mounts = [
        {"name": "settings", "mountPath": _CONFIG, "readOnly": True},
        {"name": "token", "mountPath": _TOKEN, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (a pod's own)
    ]
    container: Obj = {
        "name": part,
        "image": IMAGE,
        "args": ["run", part, "--config", f"{_CONFIG}/{FILE}"],
        "ports": ports,
        "startupProbe": {"httpGet": {"path": "/healthz", "port": "probe"}, "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "probe"}, "periodSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "probe"}, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }
    if part in PORTS:
        ports.append({"name": "http", "containerPort": PORTS[part]})
        container["readinessProbe"]["httpGet"]["port"] = "http"
    if part == DATASTORAGE:
        source = {"secretKeyRef": {"name": DATABASE, "key": "url"}}
        container["env"] = [{"name": "KUBERNAUT_DATASTORAGE__DATABASE", "valueFrom": source}]
        mounts.append({"name": "signing", "mountPath": _KEY, "readOnly": True})
    if part == "notification":
        ports.append({"name": "answers", "containerPort": ANSWERS_PORT})
        mounts.append({"name": "answers", "mountPath": _ANSWERS, "readOnly": True})
    return container


def _metadata(part: str, namespace: str) -> Obj:
    return {"name": account_of(part), "namespace": namespace, "labels": _labels(part)}


def _labels(part: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "kubernaut", "app.kubernetes.io/component": part}

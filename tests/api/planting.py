"""Secrets in all the places and forms in which clusters, alerts and logs hold them, and ordinary words that are none."""

import json
import string
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import yaml

WORD = string.ascii_letters + string.digits
WINDOW = 8
"""So many characters of a secret tell too much of it."""


def secret_of(number: int, length: int = 20) -> str:
    """Return a secret drawn by lot."""
    digest = sha256(str(number).encode()).digest()
    return "q7R" + "".join(WORD[each % len(WORD)] for each in digest[: length - 3])


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def leaks(secret: str, text: str) -> bool:
    """Tell whether a text holds a piece of a secret, in clear or in base 64."""
    forms = (secret, coded(secret))
    return any(form[at : at + WINDOW] in text for form in forms for at in range(len(form) - WINDOW - 2))


NAMES = [
    "password",
    "DB_PASSWORD",
    "apiKey",
    "client_secret",
    "spring.datasource.password",
    "X-Auth-Token",
    "AWS_SECRET_ACCESS_KEY",
    "PGPASSWORD",
]
BY_NAME: dict[str, Callable[[str, str], str]] = {
    "properties": lambda name, it: f"{name}={it}",
    "yaml": lambda name, it: f"{name}: {it}",
    "quoted yaml": lambda name, it: f"{name}: '{it}'",
    "json": lambda name, it: json.dumps({name: it}),
    "json cut off": lambda name, it: json.dumps({"a": 1, name: it})[:-2],
    "python": lambda name, it: repr({name: it, "host": "db"}),
    "go": lambda name, it: f"{{User:shop {name.replace('.', '_')}:{it} Host:db}}",
    "ini": lambda name, it: f"[db]\n{name} = {it}\nhost = db",
    "toml": lambda name, it: f'{name} = "{it}"',
    "ruby": lambda name, it: f':{name} => "{it}"',
    "xml": lambda name, it: f"<{name}>{it}</{name}>",
    "xml property": lambda name, it: f'<property name="{name}" value="{it}"/>',
    "flag": lambda name, it: f"run --{name} {it} --verbose",
    "flag with =": lambda name, it: f"run --{name}={it} --verbose",
    "export": lambda name, it: f"export {name}={it}; run",
    "query": lambda name, it: f"GET https://shop.example/x?{name}={it}&page=2",
    "escaped query": lambda name, it: f"redirect=%2Fx%3F{name}%3D{it}%26page%3D2",
    "header": lambda name, it: f"curl -H '{name}: {it}' https://shop.example",
    "a variable in yaml": lambda name, it: f"- name: {name}\n  value: {it}\n",
    "a variable in json": lambda name, it: f'it [{{"name":"{name}","value":"{it}"}}] end',
    "a variable, value first": lambda name, it: f'{{"value": "{it}", "name": "{name}"}}, and more',
    "a variable in go": lambda name, it: f"EnvVar{{Name:{name},Value:{it},ValueFrom:nil,}}",
    "described": lambda name, it: f"    Environment:\n      {name}:  {it}\n      LEVEL:  info\n",
    "a block": lambda name, it: f"db:\n  {name}: |\n    first\n    {it}\n  host: db\n",
    "a list": lambda name, it: f"{name}:\n  - {it}\n  - other\nhost: db\n",
    "on the next line": lambda name, it: f"{name}:\n  {it}\nhost: db\n",
    "coloured": lambda name, it: f"\x1b[33m{name}\x1b[0m={it}",
}
BY_FORM: dict[str, Callable[[str], str]] = {
    "bearer": lambda it: f"sent Bearer {it} on",
    "basic": lambda it: f"Authorization: Basic {coded('shop:' + it)}",
    "url": lambda it: f"cannot reach postgres://shop:{it}@db:5432/shop",
    "url, password alone": lambda it: f"redis://:{it}@cache:6379/0",
    "url, token for a user": lambda it: f"cloning https://{it}@git.example/shop.git",
    "url, many hosts": lambda it: f"mongodb://shop:{it}@a:27017,b:27017/shop",
    "mysql": lambda it: f"shop:{it}@tcp(mysql:3306)/shop",
    "jdbc": lambda it: f"jdbc:sqlserver://db:1433;databaseName=shop;user=sa;password={it};",
    "oracle": lambda it: f"jdbc:oracle:thin:scott/{it}@//db:1521/shop",
    "odbc": lambda it: f"Server=db;Uid=shop;Pwd={it};",
    "libpq": lambda it: f"host=db user=shop password='{it}' dbname=shop",
    "azure": lambda it: f"AccountName=shop;AccountKey={it}{it}==;EndpointSuffix=core.windows.net",
    "signed url": lambda it: f"https://shop.blob.core.windows.net/c?sv=2020&sig={it}%3D",
    "signed aws url": lambda it: f"https://b.s3.amazonaws.com/k?X-Amz-Date=20260101T000000Z&X-Amz-Signature={it}{it}",
    "jwt": lambda it: f"session eyJhbGciOiJIUzI1NiJ9.{it}.{it} is over",
    "github": lambda it: f"push with ghp_{it}{it} refused",
    "slack": lambda it: f"xoxb-1234567890-{it}",
    "model": lambda it: f"key sk-proj-{it} unknown",
    "discord": lambda it: f"POST https://discord.com/api/webhooks/123456789/{it}",
    "teams": lambda it: f"https://shop.webhook.office.com/webhookb2/{it}@t/IncomingWebhook/{it}/x",
    "telegram": lambda it: f"https://api.telegram.org/bot123456:{it}{it}/sendMessage",
    "pem": lambda it: f"-----BEGIN RSA PRIVATE KEY-----\n{it}{it}\n{it}{it}\n-----END RSA PRIVATE KEY-----",
    "pem cut off": lambda it: f"-----BEGIN PRIVATE KEY-----\n{it}{it}\n{it}",
    "crypt": lambda it: f"shop:$6$saltsalt${it}{it}:18000:0",
    "curl": lambda it: f"curl -u shop:{it} https://shop.example",
    "mysql client": lambda it: f"mysql -h db -ushop -p{it} shop",
    "redis client": lambda it: f"redis-cli -h cache -a {it} ping",
    "sshpass": lambda it: f"sshpass -p {it} ssh shop@host",
    "kubectl": lambda it: f"kubectl create secret generic db --from-literal=any={it}",
    "prose": lambda it: f"the password is {it}, it says",
    "netrc": lambda it: f"machine git.example login shop password {it}",
    "cookie": lambda it: f"Set-Cookie: session={it}; Path=/",
    "base 64": lambda it: f"payload {coded('password=' + it)} refused",
    "base 64 of json": lambda it: coded(json.dumps({"db": {"password": it}})),
    "docker": lambda it: json.dumps({"auths": {"registry.io": {"auth": coded("shop:" + it)}}}),
    "kubeconfig": lambda it: f"users:\n- name: shop\n  user:\n    client-key-data: {coded(it)}\n",
    "secret in yaml": lambda it: f"apiVersion: v1\nkind: Secret\nstringData:\n  any: {it}\ntype: Opaque\n",
    "secret in json": lambda it: f"applied {json.dumps({'kind': 'Secret', 'data': {'any': coded(it)}})} now",
    "google": lambda it: json.dumps({"type": "service_account", "private_key": f"-----BEGIN PRIVATE KEY-----\n{it}{it}\n"}),
}
PLACES: dict[str, Callable[[str], Any]] = {
    "as it is": lambda text: text,
    "an Event": lambda text: {"kind": "Event", "reason": "BackOff", "message": f"Back-off: {text}"},
    "an annotation": lambda text: {"kind": "Pod", "metadata": {"annotations": {"example.com/note": text}}},
    "last applied": lambda text: {
        "metadata": {
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"kind": "ConfigMap", "data": {"a": text}})}
        }
    },
    "a ConfigMap's file": lambda text: {"kind": "ConfigMap", "data": {"app.conf": f"level = info\n{text}\nhost = db\n"}},
    "a variable": lambda text: {"containers": [{"name": "app", "env": [{"name": "OPTIONS", "value": text}]}]},
    "arguments": lambda text: {"containers": [{"name": "app", "command": ["sh", "-c", text]}]},
    "a webhook": lambda text: {"alerts": [{"labels": {"alertname": "A"}, "annotations": {"description": text}, "status": "firing"}]},
    "a log line": lambda text: json.dumps({"level": "error", "msg": text, "ts": 1}),
    "a log of logs": lambda text: json.dumps({"log": json.dumps({"msg": text})}),
    "a termination message": lambda text: {"state": {"terminated": {"exitCode": 1, "reason": "Error", "message": text}}},
}


def objects(it: str, name: str) -> dict[str, Any]:
    """Return Kubernetes objects with a secret under a name that promises one, or as a Secret's."""
    container = {"name": "app", "image": "shop:1", "env": [{"name": name, "value": it}], "args": [f"--{name}", it, f"--{name}={it}"]}
    return {
        "a Secret": {"kind": "Secret", "metadata": {"name": "db"}, "data": {"any": coded(it)}, "stringData": {"other": it}},
        "a list of Secrets": {"kind": "List", "items": [{"kind": "Secret", "data": {"any": coded(it)}}]},
        "a Deployment": {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}},
        "a ConfigMap": {"kind": "ConfigMap", "data": {name: it, "LEVEL": "info"}},
        "a probe": {"livenessProbe": {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": f"Token {it}"}]}}},
        "labels of an alert": {"labels": {"alertname": "A", name: it}},
        "a JSON patch": [{"op": "replace", "path": f"/data/{name}", "value": it}],
        "a pipeline's parameters": {"params": [{"name": name, "value": it}]},
    }


class Go(yaml.SafeDumper):
    """Writes as Go's library does, which is kubectl's: texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Go.add_representer(str, _text)


def written(value: Any) -> list[str]:
    """Return the texts in which an object stands in logs and messages."""
    if isinstance(value, str):
        return [value] if "\n" in value or "\\n" in value else [value, f"it said {value!r} and ended"]
    return [json.dumps(value), json.dumps(value, indent=2), f"applied {json.dumps(value)} now", yaml.dump(value, Dumper=Go, width=1000)]


READABLE = [
    "Pod payment-service-7c9f restarted 5 times: OOMKilled (exit code 137)",
    'Back-off pulling image "registry.example:5000/shop/api:v1.2.3"',
    "image registry.example/shop@sha256:" + "a1b2c3d4" * 8,
    'Failed to pull image "shop:1": pull access denied, it does not exist or may require authorization: authorization failed: no basic auth',
    'MountVolume.SetUp failed for volume "cfg" : references non-existent secret key: tls.crt',
    'MountVolume.SetUp failed for volume "kube-api-access-x7k2p" : failed to fetch token: serviceaccounts "app" is forbidden',
    'Error: secret "db-creds-7f9c2" not found',
    "couldn't find key password in Secret production/db",
    "uid 6f1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d resourceVersion 1234567 generation 12",
    "limits cpu: 500m memory: 128Mi requests cpu: 250m ephemeral-storage: 1Gi",
    "exceeded quota: team, requested: secrets=1, used: secrets=10, limited: secrets=10",
    "2026-11-22T13:55:24.747993Z [warning  ] watch interrupted fault='404 : 404 page not found' kind=RemediationRequest",
    "kubectl -n production rollout undo deployment/payment-service --to-revision=3",
    "kubectl create secret tls shop-tls --cert=tls.crt --key=tls.key -n production",
    'kubectl -n production patch deployment api -p \'{"spec":{"replicas":3}}\'',
    "kubectl get pods -l app=api -o jsonpath='{.items[*].metadata.name}'",
    "increase-memory-conservative 1.0.0 on production/deployment/payment-service, 128Mi -> 256Mi",
    "rr-7f3a9c2b1d-workflow is at work on production/deployment/payment-service",
    "as system:serviceaccount:kubernaut-system:restore-object-sa",
    "https://grafana.example/d/abc123?orgId=1&from=now-1h&var-namespace=production",
    "https://alertmanager.example:9093/#/alerts?receiver=ops&filter=%7Balertname%3D%22A%22%7D",
    "http://prometheus.example/graph?g0.expr=rate%28http_requests_total%7Bcode%3D%22500%22%7D%5B5m%5D%29",
    "ssh://git@git.example:22/shop.git and http://host:8080/x?mail=a@b",
    "basic authentication failed, bearer certificates unknown, token expired, password is required",
    "tokensUsed=1234 tokens: 55 secretName: db passwordMinLength=8 tokenTTL=30m secretRef: db",
    "x509: certificate signed by unknown authority; SHA-256 fingerprint " + "AB:12:" * 8 + "34",
    "panic: runtime error: invalid memory address or nil pointer dereference [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1b2c]",
    "java.lang.OutOfMemoryError: Java heap space\n\tat com.shop.Cache.put(Cache.java:42)\n\tat com.shop.Main.main(Main.java:7)",
    "Readiness probe failed: HTTP probe failed with statuscode: 503",
    "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/memory-pressure: }, 2 Insufficient cpu.",
    "volumes:\n- name: tls\n  secret:\n    secretName: shop-tls\n    items:\n    - key: tls.crt\n      path: tls.crt\n",
    "env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password\n- name: LEVEL\n  value: info\n",
    "rbac.authorization.k8s.io/v1 ClusterRole authentication.k8s.io/v1 TokenReview",
]
"""What people need to read at three in the morning."""

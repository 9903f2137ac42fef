"""Two hundred secrets, each of its own, planted wherever a cluster or an alert has room for one."""

import json
import random
import string
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace

from kubernaut.api.base import Obj
from kubernaut.cli.story import Story

WORD = string.ascii_letters + string.digits


@dataclass
class Planter:
    """Makes secrets and remembers them."""

    rng: random.Random
    planted: list[str] = field(default_factory=list)

    def secret(self, length: int = 24, alphabet: str = WORD) -> str:
        """Return a new secret."""
        made = "".join(self.rng.choices(alphabet, k=length))
        self.planted.append(made)
        return made

    def coded(self) -> str:
        """Return a new secret as base 64, which is as bad to find."""
        self.planted.append(b64encode(self.secret().encode()).decode())
        return self.planted[-1]

    def forms(self) -> list[str]:
        """Return texts that each hold one new secret in another of the documented forms."""
        return [form(self) for form in FORMS]

    def label(self) -> str:
        """Return a label's value that is a credential by its form."""
        return f"ghp_{self.secret(36)}"


def _jwt(planter: Planter) -> str:
    return f"eyJhbGciOiJIUzI1NiJ9.{planter.secret(40)}.{planter.secret(30)}"


FORMS: tuple[Callable[[Planter], str], ...] = (
    lambda p: f"login with password={p.secret()} failed",
    lambda p: f"DB_PASSWORD: '{p.secret()} {p.secret()}'",
    lambda p: f'{{"apiKey": "{p.secret()}", "level": "error"}}',
    lambda p: f"Authorization: Bearer {p.secret()}",
    lambda p: f"got 401 for Basic {p.coded()}",
    lambda p: f"session {_jwt(p)} is over",
    lambda p: f"cannot reach postgres://shop:{p.secret()}@db:5432/shop",
    lambda p: f"GET https://api.example.com/v1?access_token={p.secret()}&page=2",
    lambda p: f"push with gho_{p.secret(36)} refused",
    lambda p: f"model key sk-proj-{p.secret(30)} unknown",
    lambda p: f"slack xoxb-{p.secret(12, string.digits)}-{p.secret()}",
    lambda p: f"denied for AKIA{p.secret(16, string.ascii_uppercase + string.digits)}",
    lambda p: f"aws_secret_access_key = {p.secret(40)}",
    lambda p: f"-----BEGIN RSA PRIVATE KEY-----\n{p.secret(64)}\n{p.secret(64)}\n-----END RSA PRIVATE KEY-----",
    lambda p: f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={p.secret(60)}==;EndpointSuffix=core.windows.net",
    lambda p: f"shop --token {p.secret()} --verbose",
    lambda p: f"curl -u shop:{p.secret()} https://api.example.com",
    lambda p: json.dumps({"kind": "Secret", "data": {"any": p.coded()}, "stringData": {"other": p.secret()}}),
    lambda p: f"apiVersion: v1\nkind: Secret\nstringData:\n  any: {p.secret()}\n",
    lambda p: f"shop:{p.secret()}@tcp(mysql:3306)/shop",
)


def seeded(played: Story, planter: Planter) -> Story:
    """Return a story whose objects, logs and Events hold secrets."""
    objects = deepcopy(played.objects)
    for obj in objects:
        obj["metadata"].setdefault("annotations", {}).update(_annotations(planter))
        if obj["kind"] == "Deployment":
            obj["metadata"]["labels"]["build"] = planter.label()
            _plant_template(obj["spec"]["template"], planter)
    scenario = deepcopy(played.scenario)
    scenario["rules"][0]["log"] = "\n".join(planter.forms()) + "\n"
    data = {"password": planter.coded()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": played.namespace, "annotations": _annotations(planter)},
        "data": data,
    }
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": played.namespace, "annotations": _annotations(planter)},
        "data": {"client_secret": planter.secret(), "app.conf": "\n".join(planter.forms())},
    }
    return replace(played, objects=[*objects, secret, settings], scenario=scenario)


def _annotations(planter: Planter) -> dict[str, str]:
    return {f"example.com/note-{number}": text for number, text in enumerate(planter.forms())} | {"example.com/token": planter.secret()}


def _plant_template(template: Obj, planter: Planter) -> None:
    """Put secrets into the labels, annotations, variables and arguments of pods."""
    template["metadata"]["labels"]["build"] = planter.label()
    template["metadata"]["annotations"] = _annotations(planter)
    [container] = template["spec"]["containers"]
    container["env"] = [{"name": name, "value": planter.secret()} for name in ("DB_PASSWORD", "API_KEY", "CLIENT_SECRET", "GITHUB_TOKEN")]
    container["env"] += [{"name": f"TEXT_{number}", "value": text} for number, text in enumerate(planter.forms())]
    container["args"] = ["--password", planter.secret(), f"--token={planter.secret()}"]


def alert(body: Obj, planter: Planter) -> Obj:
    """Return a webhook body with secrets in everything that a sender may write freely."""
    body = deepcopy(body)
    body["externalURL"] = f"https://ops:{planter.secret()}@alertmanager.example.com"
    for each in (body["commonAnnotations"], *(alert["annotations"] for alert in body["alerts"])):
        each.update({f"note_{number}": text for number, text in enumerate(planter.forms())} | {"password": planter.secret()})
        each["grafana_url"] = f"https://grafana.example.com/d/x?auth_token={planter.secret()}"
    for each in body["alerts"]:
        each["labels"] |= {"api_key": planter.secret(), "build": planter.label()}
        each["generatorURL"] = f"https://prom:{planter.secret()}@prometheus.example.com/graph"
    return body


def event(pod: Obj, text: str, number: int) -> Obj:
    """Return an Event about a pod, as a kubelet would tell it."""
    meta = pod["metadata"]
    at = meta["creationTimestamp"]
    return {
        "metadata": {"name": f"{meta['name']}.{number}", "namespace": meta["namespace"]},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "type": "Warning",
        "reason": "BackOff",
        "message": text,
        "count": 1,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": "kubelet"},
    }

"""The parts as Deployments: every part there is, under its own account, with settings that our own reader takes."""

from pathlib import Path

import pytest
import yaml

from kubernaut import deployments, rights
from kubernaut.notification.answering.settings import AnswerSettings
from kubernaut.settings import load
from kubernaut.wiring import PARTS

pytestmark = pytest.mark.unit
NAMESPACE = "kubernaut-system"
DOCS = Path(__file__).parents[1] / "docs"
MADE = {each["spec"]["template"]["spec"]["containers"][0]["name"]: each for each in deployments.deployments(NAMESPACE)}


def pod(part):
    return MADE[part]["spec"]["template"]["spec"]


def test_every_part_has_a_deployment():
    assert set(MADE) == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_runs_alone_and_under_an_account_of_its_own(part):
    accounts = {each["metadata"]["name"] for each in rights.part_accounts(NAMESPACE) if each["kind"] == "ServiceAccount"}
    assert pod(part)["serviceAccountName"] == f"kubernaut-{part}"
    assert pod(part)["serviceAccountName"] in accounts
    assert pod(part)["containers"][0]["args"] == ["run", part, "--config", "/etc/kubernaut/settings.yaml"]


@pytest.mark.parametrize("part", PARTS)
def test_a_pod_may_run_where_only_restricted_pods_may(part):
    [container] = pod(part)["containers"]
    assert pod(part)["securityContext"].items() >= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("part", PARTS)
def test_what_a_container_mounts_is_a_volume_of_its_pod(part):
    [container] = pod(part)["containers"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod(part)["volumes"]}


def test_the_settings_are_good_and_each_service_is_asked_where_it_listens(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(deployments.settings(NAMESPACE)["data"]["settings.yaml"])
    settings = load(path, {})
    ports = {each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in deployments.services(NAMESPACE)}
    assert settings.services.datastorage == f"http://kubernaut-datastorage.{NAMESPACE}:{ports['kubernaut-datastorage']}"
    assert settings.services.notification == f"http://kubernaut-notification.{NAMESPACE}:{ports['kubernaut-notification']}"
    heard = {"gateway": settings.gateway.port, "notification": settings.notification.port, "datastorage": settings.datastorage.port}
    assert {f"kubernaut-{part}": port for part, port in heard.items()} | {deployments.ANSWERS: AnswerSettings(key_file=path).port} == ports
    assert all(each.access.enabled for each in (settings.gateway, settings.notification, settings.datastorage))


@pytest.mark.parametrize("service", deployments.services(NAMESPACE), ids=lambda each: each["metadata"]["name"])
def test_a_service_leads_to_a_port_of_the_pods_that_it_selects(service):
    chosen = [each["spec"]["template"] for each in MADE.values() if each["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]]
    [container] = chosen[0]["spec"]["containers"]
    [port] = service["spec"]["ports"]
    assert {"name": port["targetPort"], "containerPort": port["port"]} in container["ports"]


def test_answers_are_off_until_they_are_set_up_and_then_the_key_lies_where_the_documentation_says(tmp_path):
    path = tmp_path / "settings.yaml"
    tree = yaml.safe_load(deployments.settings(NAMESPACE)["data"]["settings.yaml"])
    path.write_text(yaml.safe_dump(tree))
    assert load(path, {}).notification.answers is None
    [volume] = [each for each in pod("notification")["volumes"] if each["name"] == "answers"]
    assert volume["secret"] == {"secretName": "kubernaut-answers", "optional": True}
    [mount] = [each for each in pod("notification")["containers"][0]["volumeMounts"] if each["name"] == "answers"]
    assert f"key_file: {mount['mountPath']}/key" in (DOCS / "notification.md").read_text(encoding="utf-8")


def test_the_database_is_told_by_a_secret_and_nowhere_else(tmp_path):
    [container] = pod("datastorage")["containers"]
    [variable] = container["env"]
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({}))
    url = "postgresql+asyncpg://kubernaut@postgres/kubernaut"
    assert load(path, {variable["name"]: url}).datastorage.database == url
    assert variable["valueFrom"]["secretKeyRef"]["name"] == deployments.DATABASE
    assert not any("env" in pod(part)["containers"][0] for part in PARTS if part != "datastorage")

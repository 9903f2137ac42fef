"""How to reach a cluster: kubeconfig files, service accounts, credentials that change."""

import asyncio
import base64
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from kubernaut.api.base import Kind
from kubernaut.kube import credentials, kubeconfig
from kubernaut.kube.client import ApiError, Client
from kubernaut.kube.credentials import Command, TokenFile
from kubernaut.kube.kubeconfig import KubeconfigError

POD = Kind(kind="Pod", plural="pods", group="", version="v1")


def config(user, cluster=None, *, name="main"):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}.invalid", **(cluster or {})}}],
        "users": [{"name": name, "user": user}],
    }


@pytest.fixture
def write(tmp_path):
    def write(content, name="config"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return str(path)

    return write


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A certificate and its key, made by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


async def authorization(path, context=None):
    return (await kubeconfig.load(path, context).credentials.current()).authorization


@pytest.mark.parametrize(
    ("user", "header"),
    [
        pytest.param({"token": "abc"}, "Bearer abc", id="token"),
        pytest.param({"username": "jane", "password": "x"}, "Basic amFuZTp4", id="user and password"),
        pytest.param({}, "", id="nobody"),
    ],
)
async def test_fixed_credentials(write, user, header):
    assert await authorization(write(config(user))) == header


async def test_a_context_is_chosen_by_name_and_files_are_merged(write, monkeypatch):
    files = [write(config({"token": name}, name=name), name) for name in ("one", "two")]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([*files, "/nowhere/at/all"]))
    assert await authorization(None) == "Bearer one"
    assert await authorization(None, "two") == "Bearer two"
    assert kubeconfig.load(None, "two").server == "http://two.invalid"


async def test_paths_are_those_beside_the_file(write, tmp_path):
    (tmp_path / "token").write_text("from-file\n")
    assert await authorization(write(config({"tokenFile": "token"}))) == "Bearer from-file"


@pytest.mark.parametrize("inline", [True, False], ids=["data", "files"])
def test_certificates_are_loaded(write, pair, inline):
    certificate, key = pair

    def entry(name, path):
        return {f"{name}-data": base64.b64encode(path.read_bytes()).decode()} if inline else {name: str(path)}

    cluster = {"server": "https://x.invalid", **entry("certificate-authority", certificate), "tls-server-name": "other"}
    access = kubeconfig.load(write(config(entry("client-certificate", certificate) | entry("client-key", key), cluster)))
    assert access.tls is not None
    assert access.tls.verify_mode.name == "CERT_REQUIRED"
    assert len(access.tls.get_ca_certs()) == 1
    assert access.server_name == "other"


@pytest.fixture
async def secure(api, pair):
    """An API server that wants a client certificate it knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pair[0])
    context.load_cert_chain(*pair)
    context.verify_mode = ssl.CERT_REQUIRED
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.01, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_both_sides_show_their_certificates(write, pair, secure):
    certificate, key = pair
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    client = Client.from_kubeconfig(write(config(user, {"server": secure, "certificate-authority": str(certificate)})))
    assert (await client.list(POD)).items == []
    await client.close()


@pytest.mark.parametrize(
    ("user", "trusted"),
    [({}, True), ({"client-certificate": "cert.pem", "client-key": "key.pem"}, False)],
    ids=["no client certificate", "unknown CA"],
)
async def test_who_cannot_show_or_trust_a_certificate_is_refused(write, pair, secure, user, trusted):
    user = {name: str(pair[0].parent / file) for name, file in user.items()}
    authority = {"certificate-authority": str(pair[0])} if trusted else {}
    client = Client.from_kubeconfig(write(config(user, {"server": secure, **authority})))
    with pytest.raises(ApiError, match="Unreachable"):
        await client.list(POD)
    await client.close()


def test_an_insecure_cluster_is_not_verified(write):
    access = kubeconfig.load(write(config({}, {"server": "https://x.invalid", "insecure-skip-tls-verify": True})))
    assert access.tls is not None
    assert (access.tls.verify_mode.name, access.tls.check_hostname) == ("CERT_NONE", False)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("a: [", id="no YAML"),
        pytest.param("[]", id="a list"),
        pytest.param("just words", id="a string"),
        pytest.param({"current-context": "x"}, id="no such context"),
        pytest.param({}, id="empty"),
        pytest.param(config({}, {"server": ""}), id="no server"),
        pytest.param(config({"auth-provider": {"name": "gcp"}}), id="a removed provider"),
        pytest.param(config({}, {"server": "https://x.invalid", "certificate-authority-data": "bm9uZQ=="}), id="no certificate"),
    ],
)
def test_what_cannot_be_used_is_said(write, content):
    with pytest.raises(KubeconfigError):
        kubeconfig.load(write(content))


def test_no_cluster_at_all_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path)
    with pytest.raises(KubeconfigError, match="no kubeconfig"):
        kubeconfig.load()


@pytest.mark.parametrize(("host", "server"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
async def test_a_pod_uses_its_service_account(monkeypatch, tmp_path, pair, host, server):
    (tmp_path / "token").write_text("sa")
    (tmp_path / "ca.crt").write_bytes(pair[0].read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    access = kubeconfig.load()
    assert (access.server, (await access.credentials.current()).authorization) == (server, "Bearer sa")


@pytest.mark.looptime
async def test_a_token_file_is_read_again_after_a_minute_or_a_refusal(tmp_path, looptime):
    file = tmp_path / "token"
    source = TokenFile(file)
    file.write_text("one")
    assert (await source.current()).authorization == "Bearer one"
    file.write_text("two")
    assert (await source.current()).authorization == "Bearer one"
    await asyncio.sleep(61)
    assert (await source.current()).authorization == "Bearer two"
    file.write_text("three")
    source.refused()
    assert (await source.current()).authorization == "Bearer three"


SCRIPT = """
import json, os, pathlib, sys
counter = pathlib.Path(sys.argv[1]); number = int(counter.read_text() or 0) + 1; counter.write_text(str(number))
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
status = {"token": f"{os.environ['WHO']}-{number}-{info['kind']}"}
if len(sys.argv) > 2: status["expirationTimestamp"] = sys.argv[2]
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


@pytest.fixture
def command(tmp_path, write):
    (tmp_path / "counter").write_text("")
    script = write(SCRIPT, "script.py")

    def make(*arguments):
        return {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [script, str(tmp_path / "counter"), *arguments],
            "env": [{"name": "WHO", "value": "me"}],
        }

    return make


async def test_a_credential_command_runs_once_until_it_is_refused(write, command):
    source = kubeconfig.load(write(config({"exec": command()}))).credentials
    assert (await source.current()).authorization == "Bearer me-1-ExecCredential"
    assert (await source.current()).authorization == "Bearer me-1-ExecCredential"
    source.refused()
    assert (await source.current()).authorization == "Bearer me-2-ExecCredential"


async def test_a_credential_is_renewed_before_it_expires(write, command, clock):
    source = kubeconfig.load(write(config({"exec": command("2026-01-01T01:00:00Z")}))).credentials
    assert isinstance(source, Command)
    source.clock = clock
    assert (await source.current()).authorization == "Bearer me-1-ExecCredential"
    clock.time = datetime(2026, 1, 1, 0, 59, 0, tzinfo=UTC)
    assert (await source.current()).authorization == "Bearer me-1-ExecCredential"
    clock.time = datetime(2026, 1, 1, 0, 59, 55, tzinfo=UTC)
    assert (await source.current()).authorization == "Bearer me-2-ExecCredential"


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param([sys.executable, "-c", "raise SystemExit(3)"], id="fails"),
        pytest.param([sys.executable, "-c", "print('hello')"], id="prints something else"),
        pytest.param([sys.executable, "-c", "print('{}')"], id="prints no status"),
        pytest.param(["/no/such/command"], id="does not exist"),
        pytest.param([sys.executable, "-c", "import time; time.sleep(60)"], id="never ends"),
    ],
)
async def test_a_credential_command_that_fails_is_an_api_error(api, monkeypatch, argv):
    monkeypatch.setattr(credentials, "COMMAND_SECONDS", 0.3)
    client = Client(api.url, credentials=Command(argv, {}, "v1", lambda certificate, key: pytest.fail("no certificate")))
    with pytest.raises(ApiError) as caught:
        await client.list(POD)
    assert caught.value.retryable
    await client.close()


async def test_a_refused_token_is_fetched_anew(api, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    client = Client(api.url, token_file=Path(file))
    await client.list(POD)
    file.write_text("new")
    api.refuse("GET", "pods", 401)
    with pytest.raises(ApiError):
        await client.list(POD)
    await client.list(POD)
    assert [headers["Authorization"] for headers in api.headers] == ["Bearer old", "Bearer old", "Bearer new"]
    await client.close()


def test_a_client_is_made_outside_a_running_loop(write):
    Client.from_kubeconfig(write(config({"token": "abc"})))


def test_the_namespace_is_that_of_the_context_or_of_the_pod_or_default(write, monkeypatch, tmp_path):
    told = config({"token": "t"})
    assert kubeconfig.namespace(write(told)) == "default"
    told["contexts"][0]["context"]["namespace"] = "shop"
    assert kubeconfig.namespace(write(told)) == "shop"
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path)
    assert kubeconfig.namespace() == "default"
    (tmp_path / "namespace").write_text("team\n")
    assert kubeconfig.namespace() == "team"

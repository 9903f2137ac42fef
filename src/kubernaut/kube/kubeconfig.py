"""Reads how to reach a cluster: a kubeconfig file (or several, merged), or what every pod finds in its service account's folder."""

import base64
import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import yaml

from kubernaut.api.base import Obj
from kubernaut.kube.credentials import Command, Credentials, Fixed, TokenFile, basic, bearer

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_NAMESPACE: Final = "default"
SECTIONS: Final = (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))
PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class KubeconfigError(ValueError):
    """The kubeconfig cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one cluster as one user."""

    server: str
    credentials: Credentials
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    """The name the server's certificate bears, where it differs from the address."""


def load(path: str | None = None, context: str | None = None) -> Access:
    """Find the cluster: the file named, else KUBECONFIG, else ~/.kube/config, else the service account of the pod we run in."""
    files = _files(path)
    if files:
        return from_files(files, context)
    if (SERVICE_ACCOUNT / "token").is_file():
        return in_cluster(SERVICE_ACCOUNT)
    named = os.environ.get("KUBECONFIG", "")
    what = f"there is no file {named}, which KUBECONFIG names" if named else "KUBECONFIG is not set, and there is no ~/.kube/config"
    raise KubeconfigError(f"no kubeconfig: {what}")


def in_cluster(folder: Path) -> Access:
    """Read the files kubelet puts into every pod."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise KubeconfigError("KUBERNETES_SERVICE_HOST is not set")
    address = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=folder / "ca.crt")
    return Access(f"https://{address}:{port}", TokenFile(folder / "token"), tls)


def from_files(files: Sequence[Path], context: str | None) -> Access:
    """Read kubeconfig files; of two entries with one name the first counts, as kubectl does it."""
    config = _merged(files)
    current = _entry(config, "contexts", context or config["current-context"])
    cluster, user = _entry(config, "clusters", current.get("cluster", "")), _entry(config, "users", current.get("user", ""))
    server = cluster.get("server", "")
    if not server:
        raise KubeconfigError("the cluster has no server")
    tls = _tls(cluster, user) if server.startswith("https://") else None
    return Access(server, _credentials(cluster, user), tls, cluster.get("tls-server-name", ""))


def _files(path: str | None) -> list[Path]:
    if path:
        return [Path(path).expanduser()]
    named = os.environ.get("KUBECONFIG", "")
    candidates = [Path(part) for part in named.split(os.pathsep) if part] or [Path("~/.kube/config").expanduser()]
    return [file for file in candidates if file.is_file()]


def _merged(files: Sequence[Path]) -> Obj:
    """Return the sections as name to entry, with every path made absolute."""
    merged: Obj = {"current-context": "", **{section: {} for section, _ in SECTIONS}}
    for file in files:
        try:
            config = yaml.safe_load(file.read_text("utf-8")) or {}
            merged["current-context"] = merged["current-context"] or config.get("current-context") or ""
            _merge(merged, config, file.parent.absolute())
        except OSError as fault:
            raise KubeconfigError(f"the kubeconfig {file} cannot be read: {fault.strerror}") from fault
        except (UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, AttributeError) as fault:
            raise KubeconfigError(f"{file} is no kubeconfig: that is YAML with clusters, users and contexts") from fault
    return merged


def _merge(merged: Obj, config: Obj, folder: Path) -> None:
    for section, field in SECTIONS:
        for entry in config.get(section) or ():
            value = dict(entry.get(field) or {})
            value |= {name: str(folder / value[name]) for name in PATHS if value.get(name)}
            if "/" in (value.get("exec") or {}).get("command", ""):
                value["exec"] = value["exec"] | {"command": str(folder / value["exec"]["command"])}
            merged[section].setdefault(entry["name"], value)


def _entry(config: Obj, section: str, name: str) -> Obj:
    if name not in config[section]:
        raise KubeconfigError(f"the kubeconfig has no {name or 'current context'!r} in {section}")
    entry: Obj = config[section][name]
    return entry


def _credentials(cluster: Obj, user: Obj) -> Credentials:
    if command := user.get("exec"):
        env = {item["name"]: item["value"] for item in command.get("env") or ()}
        argv = [command["command"], *(command.get("args") or ())]
        return Command(argv, env, command.get("apiVersion", ""), partial(_tls_with, cluster))
    if file := user.get("tokenFile"):
        return TokenFile(Path(file))
    if token := user.get("token"):
        return Fixed(bearer(token))
    if name := user.get("username"):
        return Fixed(basic(name, user.get("password", "")))
    if user.get("auth-provider"):
        raise KubeconfigError("auth-provider was removed from Kubernetes: use exec")
    return Fixed()


def _tls(cluster: Obj, user: Obj) -> ssl.SSLContext:
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    return _tls_with(cluster, certificate, key)


def _tls_with(cluster: Obj, certificate: bytes | None, key: bytes | None) -> ssl.SSLContext:
    authority = _pem(cluster, "certificate-authority")
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate and key:
            _load_chain(context, certificate, key)
    except (ssl.SSLError, UnicodeDecodeError) as fault:
        raise KubeconfigError(f"a certificate of the kubeconfig cannot be read: {fault}") from fault
    return context


def _load_chain(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a certificate and its key; the standard library takes them from a file only, which is gone at once."""
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder, "chain.pem")
        chain.touch(mode=0o600)
        chain.write_bytes(certificate + b"\n" + key)
        context.load_cert_chain(chain)


def _pem(entry: Obj, name: str) -> bytes | None:
    """Return what `name-data` holds in base64, else the file `name` points to."""
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data)
    return Path(entry[name]).read_bytes() if entry.get(name) else None


def namespace(path: str | None = None, context: str | None = None) -> str:
    """Return the namespace that commands are meant for: the context's own, the pod's we run in, else `default`."""
    if files := _files(path):
        config = _merged(files)
        return str(_entry(config, "contexts", context or config["current-context"]).get("namespace") or DEFAULT_NAMESPACE)
    file = SERVICE_ACCOUNT / "namespace"
    return file.read_text("utf-8").strip() if file.is_file() else DEFAULT_NAMESPACE

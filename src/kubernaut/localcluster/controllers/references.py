"""What a pod refers to and the cluster lacks, in a kubelet's words; judged from the ConfigMaps and Secrets that exist now."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from kubernaut.localcluster.api import Obj

__all__ = ["Lookup", "config_fault", "environment", "mount_faults"]

Lookup = Callable[[str, str], Obj | None]
"""From `ConfigMap` or `Secret` and a name to the object of the pod's namespace, or None."""

_ROOT_CA: Final = "kube-root-ca.crt"


def _has(obj: Obj, key: str) -> bool:
    return key in (obj.get("data") or {}) or key in (obj.get("binaryData") or {})


def config_fault(container: Obj, namespace: str, lookup: Lookup) -> str:
    """Return why the container's environment cannot be built, empty where it can."""
    return next((fault for fault in _config_faults(container, namespace, lookup) if fault), "")


def _config_faults(container: Obj, namespace: str, lookup: Lookup) -> Iterator[str]:
    for source in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if reference := source.get(field):
                yield _missing_object(kind, reference, lookup)
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if reference := source.get(field):
                yield _missing_object(kind, reference, lookup) or _missing_key(kind, reference, namespace, lookup)


def _missing_object(kind: str, reference: Obj, lookup: Lookup) -> str:
    name = reference.get("name", "")
    if reference.get("optional") or lookup(kind, name) is not None:
        return ""
    return f'{kind.lower()} "{name}" not found'


def _missing_key(kind: str, reference: Obj, namespace: str, lookup: Lookup) -> str:
    name, key = reference.get("name", ""), reference["key"]
    obj = lookup(kind, name)
    if obj is None or reference.get("optional") or _has(obj, key):
        return ""
    return f"couldn't find key {key} in {kind} {namespace}/{name}"


def mount_faults(spec: Obj, lookup: Lookup) -> list[str]:
    """Return why volumes cannot be set up, one line a volume."""
    faults = ((volume["name"], _volume_fault(volume, lookup)) for volume in spec.get("volumes") or ())
    return [f'MountVolume.SetUp failed for volume "{name}" : {fault}' for name, fault in faults if fault]


def _volume_fault(volume: Obj, lookup: Lookup) -> str:
    return next((fault for kind, source in _sources(volume) if (fault := _source_fault(kind, source, lookup))), "")


def _sources(volume: Obj) -> Iterable[tuple[str, Obj]]:
    if source := volume.get("configMap"):
        yield "ConfigMap", source
    if source := volume.get("secret"):
        yield "Secret", {**source, "name": source.get("secretName", "")}
    for projection in (volume.get("projected") or {}).get("sources") or ():
        if source := projection.get("configMap"):
            yield "ConfigMap", source
        if source := projection.get("secret"):
            yield "Secret", source


def _source_fault(kind: str, source: Obj, lookup: Lookup) -> str:
    name = source.get("name", "")
    if name == _ROOT_CA or source.get("optional"):
        return ""  # every namespace gets the root certificate by itself
    obj = lookup(kind, name)
    if obj is None:
        return f'{kind.lower()} "{name}" not found'
    absent = next((item["key"] for item in source.get("items") or () if not _has(obj, item["key"])), None)
    if absent is None:
        return ""
    word = "config" if kind == "ConfigMap" else "secret"
    return (
        f"{kind.lower()} references non-existent {word} key: {absent}"
        if kind == "ConfigMap"
        else f"references non-existent {word} key: {absent}"
    )


def environment(container: Obj, lookup: Lookup, decode: Callable[[str], str]) -> dict[str, str]:
    """Return the container's environment, references resolved; `decode` turns a Secret's value into text."""
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix", "")
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if reference := source.get(field):
                result |= {prefix + key: value for key, value in _texts(kind, reference.get("name", ""), lookup, decode).items()}
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        result[variable["name"]] = variable.get("value", "")
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if reference := source.get(field):
                result[variable["name"]] = _texts(kind, reference.get("name", ""), lookup, decode).get(reference["key"], "")
    return result


def _texts(kind: str, name: str, lookup: Lookup, decode: Callable[[str], str]) -> dict[str, str]:
    data = (lookup(kind, name) or {}).get("data") or {}
    return {key: decode(value) if kind == "Secret" else value for key, value in data.items()}

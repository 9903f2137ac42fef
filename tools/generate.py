"""Write what follows from the code: manifests under deploy/, a page for each kind and one for the settings under docs/.

Usage: generate.py [--check]. With --check nothing is written: files that differ are named, and the exit code is 1.
"""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter

from kubernaut import deployments, manifests
from kubernaut.api.base import Obj, Resource
from kubernaut.api.crd import crd
from kubernaut.api.durations import go_duration
from kubernaut.api.kinds import ALL
from kubernaut.settings import DIVIDER, PREFIX, Settings

ROOT = Path(__file__).parent.parent
OWNED = ("deploy/crds/*.yaml", "deploy/run/*.yaml", "deploy/*.yaml", "docs/kinds/*.md", "docs/settings.md")
"""Whatever matches and is not generated any more is stale."""
MARK = "Written by tools/generate.py; change the code, then run `make generate`."
BOUNDS = {
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "items at least {}",
    "maxItems": "items at most {}",
    "minProperties": "entries at least {}",
    "maxProperties": "entries at most {}",
    "pattern": "matches `{}`",
}
SHORTEST_DEFAULT = 80
"""Longer defaults stand below the table."""


class Plain(yaml.CSafeDumper):
    """YAML as people write it: no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is the library's)
        """Write everything out."""
        return True


def files() -> dict[str, str]:
    """Return every generated file: path below the project's root, and text."""
    return dict(_files())


def _files() -> Iterator[tuple[str, str]]:
    for model in ALL:
        yield f"deploy/crds/{model.card.plural}.yaml", manifest([crd(model)])
        yield f"docs/kinds/{page_name(model)}", kind_page(model)
    yield "deploy/namespaces.yaml", manifest(manifests.namespaces())
    yield "deploy/identities.yaml", manifest(manifests.identities())
    yield "deploy/approval-policy.yaml", manifest(manifests.approval_policy())
    yield "deploy/brake-policy.yaml", manifest(manifests.brake_policy())
    yield "deploy/cancel-policy.yaml", manifest(manifests.cancel_policy())
    yield "deploy/clearance-policy.yaml", manifest(manifests.clearance_policy())
    yield "deploy/undo-policy.yaml", manifest(manifests.undo_policy())
    yield "deploy/part-accounts.yaml", manifest(manifests.part_accounts())
    yield "deploy/action-accounts.yaml", manifest(manifests.action_accounts())
    yield "deploy/kustomization.yaml", manifest([kustomization()])
    yield "deploy/run/settings.yaml", manifest([deployments.settings(manifests.SYSTEM_NAMESPACE)])
    yield "deploy/run/deployments.yaml", manifest(deployments.deployments(manifests.SYSTEM_NAMESPACE))
    yield "deploy/run/services.yaml", manifest(deployments.services(manifests.SYSTEM_NAMESPACE))
    yield "deploy/run/kustomization.yaml", manifest([kustomized(["settings.yaml", "deployments.yaml", "services.yaml"])])
    yield "docs/kinds/README.md", kinds_index()
    yield "docs/settings.md", settings_page()


def manifest(objects: Iterable[Obj]) -> str:
    """Return objects as one YAML file."""
    text = yaml.dump_all(objects, Dumper=Plain, sort_keys=False, width=120, allow_unicode=True, explicit_start=True)
    return f"# {MARK}\n{text}"


def kustomization() -> Obj:
    """Return what `kubectl apply -k deploy` reads: all manifests, in the order they must be applied."""
    definitions = [f"crds/{model.card.plural}.yaml" for model in ALL]
    rest = ("identities", "approval-policy", "brake-policy", "cancel-policy", "clearance-policy", "undo-policy")
    return kustomized(["namespaces.yaml", *definitions, *(f"{each}.yaml" for each in (*rest, "part-accounts", "action-accounts"))])


def kustomized(paths: list[str]) -> Obj:
    """Return a kustomization of files."""
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": paths}


def page_name(model: type[Resource]) -> str:
    """Return the file name of a kind's page."""
    return f"{model.card.kind.lower()}.md"


KINDS_HEAD = f"""All are of group and version `{ALL[0].card.api_version}` and stand here in the order a signal travels.
`kubectl get kubernaut -A` lists the objects of every kind."""


def kinds_index() -> str:
    """Return the list of all kinds."""
    rows = [
        (f"[{model.card.kind}]({page_name(model)})", f"`{'`, `'.join(model.card.short)}`", f"`{model.card.plural}`", sentence(model))
        for model in ALL
    ]
    return "\n\n".join(
        (
            "# Kinds",
            KINDS_HEAD,
            table(("Kind", "Short", "Resource", "What it is"), rows),
            f"<!-- {MARK} -->\n",
        )
    )


def kind_page(model: type[Resource]) -> str:
    """Return the page of one kind: what it is, what kubectl shows, and every field."""
    card, schema = model.card, crd(model)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    short = card.short[0] if card.short else card.plural
    parts = [f"# {card.kind}", sentence(model)]
    facts = [
        ("API version", f"`{card.api_version}`"),
        ("Resource", f"`{card.plural}`"),
        ("Short names", ", ".join(f"`{name}`" for name in card.short)),
        ("Scope", "a namespace" if card.namespaced else "the cluster"),
    ]
    if card.selectable:
        facts.append(("Field selectors", ", ".join(f"`{path.removeprefix('.')}`" for path in card.selectable)))
    parts.append(table(("", ""), facts))
    parts.append(f"```\nkubectl get {short} -n {manifests.SYSTEM_NAMESPACE}\nkubectl explain {card.kind.lower()}.spec\n```")
    parts += ["## Columns of `kubectl get`", table(("Column", "Path"), [(title, f"`{path}`") for title, _, path in card.columns])]
    for part in ("spec", "status"):
        node = schema["properties"][part]
        parts += [f"## {part}", node.get("description", ""), *rules(part, node)]
        parts.append(table(("Field", "Type", "Required", "Bounds", "Description"), fields(node, part)))
    return "\n\n".join([*(part for part in parts if part), f"<!-- {MARK} -->\n"])


def sentence(model: type[BaseModel]) -> str:
    """Return what a model says it is, on one line."""
    return " ".join((model.__doc__ or "").split())


def rules(at: str, node: Obj) -> list[str]:
    """Return the rules that the API server holds a part to, as one list."""
    lines = [f"- {place}: {rule['message']}" for place, rule in _rules(at, node)]
    return ["The API server holds it to:", "\n".join(lines)] if lines else []


def _rules(at: str, node: Obj) -> Iterator[tuple[str, Obj]]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield f"`{at}`", rule
    for path, child, _ in children(at, node):
        yield from _rules(path, child)


def children(at: str, node: Obj) -> Iterator[tuple[str, Obj, bool]]:
    """Give the nodes below one: path, schema, and whether it must be there."""
    required = node.get("required", ())
    for name, child in node.get("properties", {}).items():
        yield f"{at}.{name}", child, name in required
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        below = node.get(key)
        if isinstance(below, dict) and below.get("properties"):
            yield from children(at + suffix, below)


def fields(node: Obj, at: str) -> Iterator[tuple[str, ...]]:
    """Give a table row for every field below a node, depth first."""
    for path, child, required in children(at, node):
        yield f"`{path}`", type_name(child), "yes" if required else "", bounds(child), " ".join(child.get("description", "").split())
        yield from fields(child, path)


def type_name(node: Obj) -> str:
    """Return a schema's type as a person says it."""
    match node:
        case {"type": "array", "items": items}:
            return f"list of {type_name(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"map of {type_name(values)}"
        case {"type": "object", "x-kubernetes-preserve-unknown-fields": True}:
            return "any object"
        case {"format": "date-time"}:
            return "time"
        case {"format": "duration"}:
            return "duration"
        case _:
            return str(node.get("type", "value"))


def bounds(node: Obj) -> str:
    """Return what a value may be, and what it is when absent."""
    words = []
    if "enum" in node:
        words.append("one of " + ", ".join(f"`{value}`" for value in node["enum"]))
    words += [template.format(_moderate(node[key])) for key, template in BOUNDS.items() if key in node]
    words += [f"more than {node['exclusiveMinimum']}" for _ in ("once",) if type(node.get("exclusiveMinimum")) in {int, float}]
    if node.get("default") is not None and len(spelled := _default(node)) <= SHORTEST_DEFAULT:
        words.append(f"default `{spelled}`")
    return "; ".join(words)


def _moderate(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


def _default(node: Obj) -> str:
    """Return a default as a person would write it."""
    if node.get("format") != "duration":
        return _spelled(node["default"])
    length = go_duration(TypeAdapter(timedelta).validate_python(node["default"]))
    return re.sub(r"(?<=[hm])0[ms]", "", length)


def _spelled(value: object) -> str:
    return value or '""' if isinstance(value, str) else json.dumps(value, sort_keys=True)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def settings_page() -> str:
    """Return the page of the settings: every section with its fields, and long defaults written out."""
    schema = Settings.model_json_schema()
    defs = schema["$defs"]
    top = Settings.model_fields
    sections = [(name, field.annotation) for name, field in top.items() if _is_model(field.annotation)]
    plain = [name for name in top if name not in dict(sections)]
    parts = [SETTINGS_HEAD, "## At the top", table(HEAD, list(_settings_rows(Settings, schema, defs, (), only=plain)))]
    for name, section in sections:
        assert isinstance(section, type)  # noqa: S101  (told by _is_model)
        parts += [f"## {name}", sentence(section), table(HEAD, list(_settings_rows(section, defs[section.__name__], defs, (name,))))]
        parts += list(_long_defaults(name, defs[section.__name__]))
    return "\n\n".join([*parts, f"<!-- {MARK} -->\n"])


HEAD = ("Setting", "Variable", "Type", "Bounds", "Description")
SETTINGS_HEAD = f"""# Settings

Settings are read once, at the start, from a YAML file, and overridden by environment variables. Every fault is told at once, and
nothing starts with a wrong one. In the file the sections nest; a variable joins them: `{PREFIX}GATEWAY{DIVIDER}PORT=8090` is
`gateway: {{port: 8090}}`. A variable's text is read as YAML. Settings at the top have no variable. Durations are written like `90s`,
`10m` or `1h30m`; ISO 8601 (`PT5M`), `HH:MM:SS` and a number of seconds are understood too."""


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _settings_rows(
    model: type[BaseModel], schema: Obj, defs: Obj, at: tuple[str, ...], only: Iterable[str] | None = None
) -> Iterator[tuple[str, ...]]:
    """Give a row for every setting of a section, with those of the sections below it."""
    said = docstrings(model)
    for name in only if only is not None else schema["properties"]:
        node = _resolved(schema["properties"][name], defs)
        path = (*at, name)
        variable = f"`{PREFIX}{DIVIDER.join(path).upper()}`" if at else ""
        yield f"`{'.'.join(path)}`", variable, type_name(node), bounds(node), said.get(name, "")
        below = next((found for found in _models(model.model_fields[name].annotation) if not _listed(node)), None)
        if below is not None and "default" not in node:
            yield from _settings_rows(below, defs[below.__name__], defs, path)


def _listed(node: Obj) -> bool:
    return node.get("type") == "array"


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Give the models in an annotation such as `WebhookSettings | None`."""
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part


def _resolved(node: Obj, defs: Obj) -> Obj:
    """Follow a reference and unwrap `T | None`; sets are sorted, so that the page is the same every time."""
    if "anyOf" in node:
        branch = next(each for each in node["anyOf"] if each.get("type") != "null")
        node = branch | {key: value for key, value in node.items() if key != "anyOf"}
    if "$ref" in node:
        node = defs[node["$ref"].rsplit("/", 1)[1]] | {key: value for key, value in node.items() if key != "$ref"}
    if node.get("uniqueItems") and node.get("default"):
        node = node | {"default": sorted(node["default"])}
    return {key: value for key, value in node.items() if not (key == "default" and value is None)}


def _long_defaults(section: str, schema: Obj) -> Iterator[str]:
    """Write out the defaults that a table has no room for."""
    for name, node in schema["properties"].items():
        if node.get("default") is not None and not node.get("uniqueItems") and len(_spelled(node["default"])) > SHORTEST_DEFAULT:
            text = yaml.dump({section: {name: node["default"]}}, Dumper=Plain, sort_keys=False, width=120, allow_unicode=True)
            yield f"The default of `{section}.{name}`:\n\n```yaml\n{text}```"


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the strings that stand below a model's fields."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101  (it is the source of a class)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (text := _text(after)):
            found[field.target.id] = " ".join(text.split())
    return found


def _text(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


def drift(root: Path, wanted: dict[str, str]) -> list[str]:
    """Name the files that differ from what the code gives, and those it gives no more."""
    differing = [path for path, text in wanted.items() if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text]
    return sorted(differing) + [str(path.relative_to(root)) for path in stale(root, wanted)]


def stale(root: Path, wanted: dict[str, str]) -> list[Path]:
    """Find files in our places that the code gives no more."""
    return sorted(path for pattern in OWNED for path in root.glob(pattern) if str(path.relative_to(root)) not in wanted)


def write(root: Path, wanted: dict[str, str]) -> None:
    """Write all files and remove stale ones."""
    for left in stale(root, wanted):
        left.unlink()
    for path, text in wanted.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write or check; return the exit code."""
    wanted = files()
    if arguments != ["--check"]:
        write(root, wanted)
        return 0
    if differing := drift(root, wanted):
        print("these files do not follow from the code; run `make generate`:", *differing, sep="\n  ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

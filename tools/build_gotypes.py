"""Build src/kubernaut/localcluster/data/gotypes.json.gz: the fields of Kubernetes' Go types, from the source of its Go modules.

Usage: build_gotypes.py MODULE_DIR... where these are k8s.io/api, k8s.io/apimachinery and k8s.io/apiextensions-apiserver as unpacked by
`go mod download -json`. For each definition in openapi.json.gz (and the few messages that only travel): a list of [protobuf number,
JSON name, type, pointer, omit]; an empty JSON name is an inlined struct; omit is 0 (never left out), 1 (`omitempty`) or 2 (`omitzero`).
A type is a scalar, `bytes`, `[]T`, `items:T` (a named slice, a message of its own in protobuf), `map:T`, or the name of a definition.
"""

import gzip
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).parent.parent / "src/kubernaut/localcluster/data"
SCALARS = {"string", "bool", "int32", "int64", "float64", "byte", "int", "uint32"}
FIELD = re.compile(r"^\s*(?:(?P<name>\w+)\s+)?(?P<type>[\w.*\[\]]+)\s+`(?P<tags>[^`]*)`")
STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^type (\w+) ((?:map\[\w+\])?[\w.\[\]*]+)$", re.MULTILINE)
IMPORT = re.compile(r'^\s*(?:import\s+)?(\w+)?\s*"(k8s\.io/[\w./-]+)"', re.MULTILINE)
EXTRA = ("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "io.k8s.api.policy.v1.Eviction", "io.k8s.api.authentication.v1.TokenRequest")


@dataclass
class Package:
    """The types of one Go package."""

    name: str
    structs: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    """Body and the imports of its file, by name."""
    named: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)


def definition_prefix(path: str) -> str:
    """Turn an import path into the prefix of definition names: `k8s.io/api/core/v1` is `io.k8s.api.core.v1`."""
    return path.replace("k8s.io/", "io.k8s.", 1).replace("/", ".")


def read_packages(module: Path, path: str) -> Iterator[Package]:
    """Read all packages of a module."""
    for folder in sorted({file.parent for file in module.rglob("*.go")}):
        relative = folder.relative_to(module).as_posix()
        package = Package(definition_prefix(f"{path}/{relative}"))
        for file in sorted(folder.glob("*.go")):
            if file.name.endswith("_test.go"):
                continue
            text = file.read_text(encoding="utf-8")
            imports = {alias or path.rsplit("/", 1)[1]: definition_prefix(path) for alias, path in IMPORT.findall(text)}
            package.structs |= {name: (body, imports) for name, body in STRUCT.findall(text)}
            package.named |= {name: (kind, imports) for name, kind in NAMED.findall(re.sub(r"\s*//.*", "", text))}
        yield package


class Types:
    """Resolves Go types over all packages."""

    def __init__(self, packages: dict[str, Package]) -> None:
        self.packages = packages

    def spell(self, text: str, package: Package, imports: dict[str, str]) -> str:
        """Write a Go type with full names, named scalars, lists and maps unfolded."""
        text = text.lstrip("*")
        if text == "[]byte":
            return "bytes"
        if text.startswith("[]"):
            return "[]" + self.spell(text[2:], package, imports)
        if text.startswith("map["):
            return "map:" + self.spell(text.split("]", 1)[1], package, imports)
        return text if text in SCALARS else self.unfold(text, package, imports)

    def unfold(self, text: str, package: Package, imports: dict[str, str]) -> str:
        """Unfold a named type, unless it is a struct."""
        alias, _, name = text.rpartition(".")
        home = self.packages.get(imports.get(alias, "")) if alias else package
        if home is None or name in home.structs or name not in home.named:
            return f"{home.name if home else alias}.{name}"
        spelled = self.spell(home.named[name][0], home, home.named[name][1])
        return spelled.replace("[]", "items:", 1) if spelled.startswith("[]") else spelled

    def fields(self, definition: str) -> list[list[object]]:
        """List the fields of a struct."""
        prefix, _, name = definition.rpartition(".")
        package = self.packages.get(prefix)
        if package is None or name not in package.structs:
            return []
        body, imports = package.structs[name]
        return [row for line in body.splitlines() if (row := self.row(line, package, imports))]

    def row(self, line: str, package: Package, imports: dict[str, str]) -> list[object] | None:
        """Read one field of a struct."""
        match = FIELD.match(line)
        if match is None:
            return None
        tags = dict(re.findall(r'(\w+):"([^"]*)"', match["tags"]))
        if "," not in tags.get("protobuf", ""):
            return None
        json_name, *options = tags.get("json", "").split(",")
        number = int(tags["protobuf"].split(",")[1])
        omit = 2 if "omitzero" in options else int("omitempty" in options)
        return [number, json_name, self.spell(match["type"], package, imports), match["type"].startswith("*"), omit]


def mentioned(rows: list[list[object]]) -> Iterator[str]:
    """Name the definitions that fields refer to."""
    for row in rows:
        name = re.sub(r"\[\]|map:|items:", "", str(row[2]))
        if "." in name:
            yield name


def main() -> None:
    """Read the modules, follow the definitions, write."""
    packages: dict[str, Package] = {}
    for argument in sys.argv[1:]:
        module = Path(argument)
        for package in read_packages(module, "k8s.io/" + module.name.split("@")[0]):
            packages[package.name] = package
    types = Types(packages)
    open_ = [*json.loads(gzip.decompress((DATA / "openapi.json.gz").read_bytes())), *EXTRA]
    found: dict[str, list[list[object]]] = {}
    while open_:
        name = open_.pop()
        if name not in found and (rows := types.fields(name)):
            found[name] = rows
            open_ += mentioned(rows)
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    output = DATA / "gotypes.json.gz"
    output.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    sys.stdout.write(f"{len(found)} types, {output.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()

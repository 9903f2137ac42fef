"""The generator of manifests and pages: what it writes follows from the code, and drift is told."""

import re

import pytest
import yaml

from kubernaut.api.crd import crd
from kubernaut.api.kinds import ALL
from kubernaut.settings import Settings
from tools import generate


@pytest.fixture(scope="module")
def wanted():
    """Give what the code gives."""
    return generate.files()


@pytest.fixture
def project(tmp_path, wanted):
    """Give a project in which everything was just generated."""
    generate.write(tmp_path, wanted)
    return tmp_path


def test_what_was_just_written_has_not_drifted(project):
    assert generate.main(["--check"], project) == 0


def test_the_files_of_this_project_follow_from_its_code(wanted):
    assert generate.drift(generate.ROOT, wanted) == []


@pytest.mark.parametrize("path", ["deploy/crds/aianalyses.yaml", "deploy/identities.yaml", "docs/kinds/aianalysis.md", "docs/settings.md"])
def test_a_changed_file_is_named(project, capsys, path):
    changed = project / path
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert generate.main(["--check"], project) == 1
    assert path in capsys.readouterr().out


def test_a_missing_file_and_one_too_many_are_named(project, wanted):
    (project / "docs/kinds/README.md").unlink()
    (project / "deploy/crds/olds.yaml").write_text("", encoding="utf-8")
    assert generate.drift(project, wanted) == ["docs/kinds/README.md", "deploy/crds/olds.yaml"]


def test_checking_writes_nothing(tmp_path):
    assert generate.main(["--check"], tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_writing_removes_what_the_code_gives_no_more_and_leaves_other_files_alone(project):
    (project / "deploy/crds/olds.yaml").write_text("", encoding="utf-8")
    (project / "docs/operating.md").write_text("by hand", encoding="utf-8")
    generate.main([], project)
    assert not (project / "deploy/crds/olds.yaml").exists()
    assert (project / "docs/operating.md").read_text(encoding="utf-8") == "by hand"


def test_generating_twice_gives_the_same_text(wanted):
    assert generate.files() == wanted


def paths(node, at):
    for name, child in node.get("properties", {}).items():
        yield f"{at}.{name}"
        yield from paths(child, f"{at}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(node.get(key), dict):
            yield from paths(node[key], at + suffix)


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.card.kind)
def test_a_kinds_page_has_every_field_column_short_name_and_rule(model):
    page = generate.kind_page(model)
    told = set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))
    schema = crd(model)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for part in ("spec", "status"):
        assert set(paths(schema["properties"][part], part)) <= told
        for rule in schema["properties"][part].get("x-kubernetes-validations", ()):
            assert rule["message"] in page
    assert all(path in page for _, _, path in model.card.columns)
    assert all(f"`{short}`" in page for short in model.card.short)


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.card.kind)
def test_every_table_row_has_as_many_cells_as_its_head(model):
    for table in re.findall(r"(?:^\|.*\n)+", generate.kind_page(model), re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def leaves(schema, defs, at=()):
    for name, node in schema["properties"].items():
        ref = node.get("$ref", "")
        below = defs.get(ref.rsplit("/", 1)[-1], {})
        yield (*at, name)
        if "properties" in below and "default" not in node:
            yield from leaves(below, defs, (*at, name))


def test_the_settings_page_has_every_setting_with_its_variable():
    page = generate.settings_page()
    schema = Settings.model_json_schema()
    for section, *rest in leaves(schema, schema["$defs"]):
        assert f"`{'.'.join([section, *rest])}`" in page or f"## {section}" in page
        if rest:
            assert f"`KUBERNAUT_{'__'.join([section, *rest]).upper()}`" in page


def test_manifests_are_plain_yaml_that_reads_back_as_declared(wanted):
    text = wanted["deploy/crds/remediationrequests.yaml"]
    assert list(yaml.safe_load_all(text)) == [crd(ALL[0])]
    assert not re.search(r"[&*]id\d", text), "anchors are hard to read"

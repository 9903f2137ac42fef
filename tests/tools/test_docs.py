"""The pages written by hand: what they name exists."""

import re
import textwrap
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import kubernaut
from kubernaut import wiring
from kubernaut.api.kinds import ALL
from kubernaut.cli.embedded import FIXED, STAND_INS
from kubernaut.execution.actions.registry import built
from kubernaut.orchestration.decide import JUDGES
from kubernaut.settings import Settings

ROOT = Path(kubernaut.__file__).parent.parent.parent
PAGES = sorted(path for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
OPERATING = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
EMBEDDED = (ROOT / "docs/localcluster.md").read_text(encoding="utf-8")
NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def anchors(text):
    """Return the anchors that GitHub makes of a page's headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    prose = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)]+)\)", prose):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_source_file_that_is_named_exists(page):
    for path in re.findall(r"`((?:src|tests|tools|deploy|docs)/[\w./-]+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


def test_every_acceptance_point_has_tests_that_exist():
    rows = re.findall(r"^\| (\w+) \|.*\| `([\w/.]+)::(\w+)` \|$", (ROOT / "docs/acceptance.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {point for point, _, _ in rows} >= {str(number) for number in range(1, 16)}
    for _, path, name in rows:
        assert re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), f"{path}::{name}"


def test_every_metric_is_on_the_page_and_no_other():
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith(("kubernaut_", "gateway_"))}
    told = set(re.findall(r"`((?:kubernaut|gateway)_\w+)`", OPERATING))
    assert {name.removesuffix("_total") for name in told} == ours
    assert wiring.PARTS


def test_the_log_lines_that_are_explained_are_those_of_the_code():
    table = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").partition("In the log of")[2].partition("## ")[0]
    lines = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    code = "".join(each.read_text(encoding="utf-8") for each in (ROOT / "src/kubernaut").rglob("*.py"))
    assert len(lines) >= 5
    assert [line for line in lines if f'"{line}"' not in code] == []


def test_every_decision_is_in_the_list():
    listed = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs/decisions").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed


def test_the_map_in_the_readme_is_the_packages_own():
    own = textwrap.dedent("    " + (kubernaut.__doc__ or "").split("\n\n", 2)[2].strip())
    assert own in (ROOT / "README.md").read_text(encoding="utf-8")


def test_numbers_that_the_pages_tell_are_the_codes():
    architecture = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert f"The {NUMBERS[len(ALL)]} kinds" in architecture
    assert f"- {len(built())} typed actions are built" in architecture
    settings = Settings()
    for part, port in (
        ("gateway", settings.gateway.port),
        ("data storage", settings.datastorage.port),
        ("notification", settings.notification.port),
    ):
        fixed = getattr(FIXED, part.replace(" ", ""))
        assert f"| {part} | {port} | {fixed} |" in OPERATING
    assert str(FIXED.api) in OPERATING


def test_every_stand_in_is_named():
    assert {name for name in STAND_INS if f"`{name}`" not in EMBEDDED} == set()


def test_every_outcome_that_a_case_can_end_with_is_explained():
    source = "".join(Path(judge.__code__.co_filename).read_text(encoding="utf-8") for judge in JUDGES[:1])
    outcomes = {re.sub("_", "", name.title()) for name in re.findall(r"\bOutcome\.([A-Z_]+)", source)}
    assert {name for name in outcomes if f"| {name} |" not in OPERATING} == set()
    assert outcomes

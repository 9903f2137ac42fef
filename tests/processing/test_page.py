"""The page about policies: its examples run, and its tables are what the code says."""

import itertools
import re
from pathlib import Path

import pytest
import yaml

import kubernaut
from kubernaut.api.signal import Severity, fallback_priority
from kubernaut.policy.document import MAX_BYTES, MAX_EXPRESSION, MAX_RULES
from kubernaut.policy.samples import check, read_samples
from kubernaut.processing.policy import CLASSIFICATION
from kubernaut.processing.settings import ProcessingSettings

PAGE = (Path(kubernaut.__file__).parent.parent.parent / "docs/policies.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
POLICIES = [block for block in BLOCKS if block.startswith("rules:")]
PAIRS = [(first, second) for first, second in itertools.pairwise(BLOCKS) if first.startswith("rules:") and second.startswith("- name:")]


@pytest.mark.parametrize(("policy", "samples"), PAIRS, ids=range(len(PAIRS)))
def test_the_examples_say_what_their_samples_expect(policy, samples):
    assert check(CLASSIFICATION, policy, "policy.yaml", read_samples(CLASSIFICATION, samples, "samples.yaml")) == []


def test_every_example_has_samples():
    assert len(PAIRS) == len(POLICIES) >= 2


def test_the_first_policy_is_sound_and_where_the_settings_look():
    [config_map] = [found for block in BLOCKS if isinstance(found := yaml.safe_load(block), dict) and found.get("kind") == "ConfigMap"]
    source = ProcessingSettings().policy
    assert config_map["metadata"]["name"] == source.config_map
    assert check(CLASSIFICATION, config_map["data"][source.key], "policy.yaml") == []


def test_every_variable_and_every_field_is_on_the_page_with_its_words():
    for name, variable in CLASSIFICATION.variables.items():
        assert f"| `{name}` | {variable.type.label} | {variable.about} |" in PAGE
    for name, field in CLASSIFICATION.fields.items():
        assert f"| `{name}` | {field.about.rstrip('.')}" in PAGE


def test_the_table_of_priorities_is_the_codes():
    columns = (("production", "prod", "prd", "live", "production-eu"), ("staging",), ("unknown",), ("test", "development"))
    rows = re.findall(r"^\| ([a-z, ]+) \| (P\d) \| (P\d) \| (P\d) \| (P\d) \|$", PAGE, re.MULTILINE)
    told = {Severity(word): cells for words, *cells in rows for word in words.split(", ")}
    assert told.keys() == set(Severity)
    for severity, cells in told.items():
        for environments, cell in zip(columns, cells, strict=True):
            assert {fallback_priority(severity, environment) for environment in environments} == {cell}


def test_the_bounds_on_the_page_are_the_codes():
    assert f"at most {MAX_BYTES // 1024} KiB and {MAX_RULES} rules, an expression {MAX_EXPRESSION:,}" in PAGE

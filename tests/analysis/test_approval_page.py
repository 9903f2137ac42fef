"""The page about the approval policy: its examples run, and its tables are what the code says."""

import itertools
import re
from pathlib import Path

import pytest
import yaml

import kubernaut
from kubernaut.analysis.approval_words import APPROVAL, shipped
from kubernaut.analysis.settings import AnalysisSettings
from kubernaut.policy.samples import check, read_samples

PAGE = (Path(kubernaut.__file__).parent.parent.parent / "docs/approval.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
PAIRS = [(first, second) for first, second in itertools.pairwise(BLOCKS) if first.startswith("rules:") and second.startswith("- name:")]


@pytest.mark.parametrize(("policy", "samples"), PAIRS, ids=range(len(PAIRS)))
def test_the_examples_say_what_their_samples_expect(policy, samples):
    assert check(APPROVAL, policy, "policy.yaml", read_samples(APPROVAL, samples, "samples.yaml")) == []


def test_every_example_has_samples():
    assert len(PAIRS) == sum(block.startswith("rules:") for block in BLOCKS) >= 2


def test_the_first_policy_is_sound_and_where_the_settings_look():
    [config_map] = [found for block in BLOCKS if isinstance(found := yaml.safe_load(block), dict) and found.get("kind") == "ConfigMap"]
    source = AnalysisSettings().policy
    assert config_map["metadata"]["name"] == source.config_map
    assert check(APPROVAL, config_map["data"][source.key], "policy.yaml") == []


def test_every_variable_and_every_field_is_on_the_page_with_its_words():
    for name, variable in APPROVAL.variables.items():
        assert f"| `{name}` | {variable.type.label} | {variable.about} |" in PAGE
    for name, field in APPROVAL.fields.items():
        assert f"| `{name}` | {field.about} |" in PAGE


def test_the_shipped_rules_are_on_the_page_in_their_order():
    assert re.findall(r"^\| `([-a-z]+)` \| .* \| .* \|$", PAGE.partition("## Your own")[0], re.MULTILINE) == [
        rule["name"] for rule in yaml.safe_load(shipped())["rules"]
    ]

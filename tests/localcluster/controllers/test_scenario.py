"""Scenario data: read strictly, matched by what a container is."""

import pytest

from kubernaut.localcluster.controllers.scenario import (
    Condition,
    ConfigKey,
    Exits,
    LiveScenario,
    Match,
    NeedsMemory,
    Scenario,
    ScenarioError,
    Subject,
)

SUBJECT = Subject("shop", "web", {"app": "web", "tier": "front"}, "app", "registry.example/web:1")


def test_a_scenario_is_read_from_yaml():
    scenario = Scenario.from_yaml("""
nodes: [{name: node-1, memory: 4Gi, ready: false}]
rules:
  - match: {namespace: shop, workload: web, image: "*/web:*"}
    needsMemory: {memory: 200Mi, after: 0.5}
  - match: {labels: {app: web}}
    exits: {code: 3, log: no database, until: {config: {configMap: db, key: url}}}
""")
    assert scenario.nodes[0].ready is False
    first, second = scenario.rules
    assert first.needs_memory == NeedsMemory(memory=200 * 2**20, after=0.5)
    assert second.exits == Exits(code=3, log="no database", until=Condition(config=ConfigKey(config_map="db", key="url")))
    assert len(list(scenario.rules_for(SUBJECT))) == 2


@pytest.mark.parametrize(
    ("obj", "told"),
    [
        ([], "scenario: "),
        ({"rule": []}, "rule: "),
        ({"rules": [{"match": {"name": "x"}, "log": "a"}]}, "rules.0.match.name: "),
        ({"rules": [{}]}, "the rule says nothing"),
        ({"rules": [{"needsMemory": {"memory": "lots"}}]}, "rules.0.needsMemory.memory: "),
        ({"rules": [{"exits": {"code": 300}}]}, "rules.0.exits.code: "),
        ({"rules": [{"exits": {"until": {"config": {"key": "k"}}}}]}, "give either configMap or secret"),
        ({"rules": [{"probeFails": {"probe": "health"}}]}, "rules.0.probeFails.probe: "),
        ({"nodes": [{}]}, "nodes.0.name: "),
    ],
)
def test_a_fault_is_named_with_its_place(obj, told):
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_obj(obj)
    assert told in str(caught.value)


def test_all_faults_are_listed_at_once():
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_obj({"nodes": [{}], "rules": [{"exits": {"code": -1}}]})
    assert "nodes.0.name" in str(caught.value)
    assert "rules.0.exits.code" in str(caught.value)


def test_what_is_no_yaml_is_said_to_be_none():
    with pytest.raises(ScenarioError, match="no YAML"):
        Scenario.from_yaml("{")


@pytest.mark.parametrize(
    ("match", "held"),
    [
        (Match(), True),
        (Match(namespace="sh*"), True),
        (Match(namespace="other"), False),
        (Match(workload="web"), True),
        (Match(container="sidecar"), False),
        (Match(image="*:1"), True),
        (Match(labels={"app": "web"}), True),
        (Match(labels={"app": "web", "tier": "back"}), False),
    ],
)
def test_matching(match, held):
    assert match.holds(SUBJECT) is held


def test_listeners_hear_of_another_scenario():
    live, heard = LiveScenario(), []
    live.on_change(lambda: heard.append(live.current))
    live.replace(Scenario.from_obj({"rules": [{"log": "x"}]}))
    assert heard == [live.current]
    assert live.current.rules[0].log == "x"

"""`kubernaut investigate` and `kubernaut rules`: on saved objects, as a person runs them."""

import json
from typing import Any

import pytest

from kubernaut.analysis.investigators.rules.registry import ALL
from tests.analysis.cases import cases
from tests.analysis.world import CRASHED, T0, World, crash_loop, running
from tests.cli.saved import SICK, WELL, kubernaut, objects, save


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """Give a directory with a Deployment that is OOM-killed, in production."""
    return save(tmp_path_factory.mktemp("sick"), *objects(SICK))


def investigated(directory, *more) -> Any:
    done = kubernaut("investigate", "deploy/checkout", "-n", "shop", "--from-dump", directory, "-o", "json", *more)
    return json.loads(done.stdout)


def test_it_tells_cause_evidence_fix_and_who_is_asked(sick):
    text = kubernaut("investigate", "deploy/checkout", "-n", "shop", "--from-dump", sick).stdout
    for part in (
        "shop/deployment/checkout  as of 2026-03-02",
        "● OOMKilled",
        "certain",
        "status.containerStatuses[app].lastState.terminated.reason = OOMKilled (exit code 137)",
        "increase-memory-conservative",
        "MEMORY_LIMIT",
        "256Mi",
        "a person is asked first: changes in production are approved by a person",
        "rule production of policy shipped",
    ):
        assert part in text


@pytest.mark.parametrize("named", [("deploy/checkout",), ("deployment", "checkout"), ("deployments/checkout",), ("Deployment/checkout",)])
def test_objects_are_named_as_kubectl_names_them(sick, named):
    assert "OOMKilled" in kubernaut("investigate", *named, "-n", "shop", "--from-dump", sick).stdout


def test_a_pod_leads_to_its_workload(sick):
    text = kubernaut("investigate", "po/checkout-hash1-0", "-n", "shop", "--from-dump", sick).stdout
    assert text.startswith("shop/deployment/checkout")


def test_the_same_objects_give_the_same_answer_byte_for_byte(sick):
    first = kubernaut("investigate", "deploy/checkout", "-n", "shop", "--from-dump", sick, "-o", "json", "--explain").stdout
    assert first == kubernaut("investigate", "deploy/checkout", "-n", "shop", "--from-dump", sick, "-o", "json", "--explain").stdout
    found = json.loads(first)
    assert (found["cause"]["name"], found["next"], found["selectedWorkflow"]["workflowId"]) == (
        "OOMKilled",
        "ask",
        "increase-memory-conservative",
    )
    assert found["policy"]["matchedRules"][0] == "production"


def test_every_rule_that_was_tried_is_explained(sick):
    found = investigated(sick, "--explain")["rules"]
    assert [row["cause"] for row in found] == [rule.cause for rule in ALL]
    assert [row["cause"] for row in found if row["result"] == "chosen"] == ["OOMKilled"]
    text = kubernaut("investigate", "deploy/checkout", "-n", "shop", "--from-dump", sick, "--explain").stdout
    assert f"Rules tried ({len(ALL)})" in text
    assert "increase-memory-daemonset 1.0.0  it is for component daemonset, and this is Deployment" in text


@pytest.mark.parametrize(
    ("world", "verdict", "next_", "says"),
    [
        pytest.param(WELL, "no action needed", "nothing", "No action is needed", id="healthy"),
        pytest.param(World(statuses=[[running(ready=False)]] * 3), "inconclusive", "person", "I don't know", id="unknown"),
    ],
)
def test_it_says_so_where_nothing_is_to_be_done_or_nobody_knows(tmp_path, world, verdict, next_, says):
    found = investigated(save(tmp_path, *objects(world)))
    assert (found["verdict"], found["next"], found["selectedWorkflow"]) == (verdict, next_, None)
    assert says in found["cause"]["summary"]


def test_it_says_that_holmesgpt_was_not_asked(tmp_path):
    unknown = save(tmp_path, *objects(World(statuses=[[running(ready=False)]] * 3)))
    assert investigated(unknown)["holmesGPT"]["asked"] is False
    for about in (("deploy/checkout", "-n", "shop"), ("-n", "shop")):
        assert (
            "HolmesGPT was not asked: this command asks the rules alone." in kubernaut("investigate", *about, "--from-dump", unknown).stdout
        )


def test_where_one_namespace_is_well_it_says_that_others_were_not_looked_at(tmp_path):
    well = save(tmp_path, *objects(WELL))
    said = "Only this namespace was looked at: -n names another, -A is all of them"
    assert said in kubernaut("investigate", "-n", "shop", "--from-dump", well).stdout
    assert said not in kubernaut("investigate", "-A", "--from-dump", well).stdout


def test_outside_production_a_certain_fix_runs_by_itself(tmp_path):
    assert investigated(save(tmp_path, *objects(SICK, "staging")))["next"] == "run"


def test_the_policy_among_the_objects_holds(tmp_path):
    rules = "rules: [{name: hands-off, match: action == 'IncreaseMemoryLimits', set: {decision: Denied, why: we do that by hand}}]"
    meta = {"name": "ai-approval-policies", "namespace": "kubernaut-system"}
    policy = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"policy.yaml": rules}}
    found = investigated(save(tmp_path, *objects(SICK, "staging"), policy))
    assert (found["next"], found["humanReviewReason"], found["policy"]["matchedRules"][0]) == ("person", "policy_denied", "hands-off")


def test_kinds_that_every_cluster_has_and_nobody_saved_are_told(tmp_path):
    some = save(tmp_path, *[obj for obj in objects(SICK, "staging") if obj["kind"] not in {"Lease", "Node"}])
    found = investigated(some)
    assert "Node could not be read" in found["warnings"]
    assert found["policy"]["matchedRules"][0] == "degraded"
    assert investigated(some, "--whole")["warnings"] == []


def test_ages_count_from_the_newest_moment_in_the_dump_or_the_one_given(sick):
    assert investigated(sick)["at"] < T0.isoformat()
    assert investigated(sick, "--at", "2026-03-01T00:00:00")["at"] == "2026-03-01T00:00:00+00:00"


def test_directories_are_read_with_all_below_them(tmp_path):
    found = objects(SICK)
    save(tmp_path, *found[:3])
    save(tmp_path / "shop" / "pods", *found[3:], name="pods.json.yaml")
    assert investigated(tmp_path)["cause"]["name"] == "OOMKilled"


def test_objects_that_lost_their_uids_are_linked_by_name(tmp_path):
    found = objects(SICK)
    for obj in found:
        obj["metadata"].pop("uid", None)
        for owner in obj["metadata"].get("ownerReferences", ()):
            owner.pop("uid")
    assert investigated(save(tmp_path, *found))["cause"]["name"] == "OOMKilled"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["deploy/nope", "-n", "shop"], 1, "there is no Deployment 'nope' in namespace shop", id="a name that is not there"),
        pytest.param(["checkout"], 2, "names no object: write KIND/NAME", id="no kind"),
        pytest.param(["thing/checkout"], 2, "there is no kind 'thing'", id="an unknown kind"),
        pytest.param(
            ["secret/checkout", "-n", "shop"], 2, "objects of kind Secret are not investigated", id="a kind that is not looked at"
        ),
        pytest.param(["deploy/checkout", "-o", "xml"], 2, "there is no output 'xml'", id="an unknown output"),
        pytest.param(["deploy/checkout", "--severity", "bad"], 2, "there is no severity 'bad'", id="an unknown severity"),
    ],
)
def test_what_cannot_be_investigated_is_told_in_a_sentence(sick, arguments, code, says):
    assert says in kubernaut("investigate", *arguments, "--from-dump", sick, code=code).stderr


def test_a_file_at_fault_is_named_with_its_line(tmp_path):
    (tmp_path / "x.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {}\n")
    assert "x.yaml:1 (document 1): Pod has no metadata.name" in kubernaut("investigate", "po/x", "--from-dump", tmp_path, code=1).stderr


def test_the_rules_are_listed_each_with_its_documentation():
    text = kubernaut("rules").stdout
    assert all(rule.cause in text for rule in ALL)
    assert "Of these it is taken for the cause: ApplicationCrash" in kubernaut("rules", "oomkilled").stdout
    assert [row["cause"] for row in json.loads(kubernaut("rules", "-o", "json").stdout)] == [rule.cause for rule in ALL]
    assert "there is no rule for 'Gremlins'" in kubernaut("rules", "Gremlins", code=1).stderr


def test_without_a_name_all_that_is_broken_is_listed_the_worst_first(tmp_path):
    half = World(name="cart", statuses=[[running()], [running(ready=False)]], replicas=2)
    found = save(tmp_path, *objects(WELL), *{each["metadata"]["name"]: each for each in (*objects(SICK), *objects(half))}.values())
    rows = json.loads(kubernaut("investigate", "--from-dump", found, "-o", "json").stdout)["causes"]
    shown = [(row["broken"][0]["object"]["name"], row["broken"][0]["shows"].partition(",")[0]) for row in rows]
    assert shown == [("checkout", "0/3 ready"), ("cart", "1/2 ready")]
    assert (rows[0]["cause"]["name"], rows[0]["next"]) == ("OOMKilled", "ask")
    text = kubernaut("investigate", "-n", "shop", "--from-dump", found).stdout
    assert text.startswith("namespace shop  as of")
    assert "kubernaut investigate deployment/checkout -n shop" in text


def test_nothing_broken_says_among_how_many(tmp_path):
    well = save(tmp_path, *objects(WELL))
    assert "✓ nothing is broken among 4 objects" in kubernaut("investigate", "-n", "shop", "--from-dump", well, "--whole").stdout
    assert "nothing here that could be broken" in kubernaut("investigate", "-n", "elsewhere", "--from-dump", well).stdout


def test_what_could_not_be_read_is_no_proof_of_health(tmp_path):
    nodeless = save(tmp_path, *(obj for obj in objects(WELL) if obj["kind"] in {"Deployment", "ReplicaSet", "Pod"}))
    text = kubernaut("investigate", "-A", "--from-dump", nodeless).stdout
    assert "nothing is broken among the 4 objects that could be read" in text
    assert "Node objects could not be read, so none of them was looked at: none was saved" in text
    assert "✓" not in text
    assert json.loads(kubernaut("investigate", "-A", "--from-dump", nodeless, "-o", "json").stdout)["unread"] == {"Node": "none was saved"}


def test_what_is_gone_is_investigated_as_long_as_events_tell_of_it(tmp_path):
    [case] = [case for case in cases() if case.name == "task-failed-amid-noise"]
    found = save(tmp_path, *case.objects)
    gone = case.header["subject"]["name"]
    text = kubernaut("investigate", f"pod/{gone}", "-n", "batch", "--from-dump", found).stdout
    assert f"batch/pod/{gone} does not exist" in text
    assert (
        "there is no Pod 'nobody'" in kubernaut("investigate", "pod/nobody", "-n", "batch", "--from-dump", found, "--whole", code=1).stderr
    )


def test_what_one_cause_broke_is_one_row(tmp_path):
    [case] = [case for case in cases() if case.name == "two-steps-away"]
    done = kubernaut("investigate", "--from-dump", save(tmp_path, *case.objects), "--whole", "-o", "json")
    [row] = json.loads(done.stdout)["causes"]
    assert (row["cause"]["name"], [each["object"]["name"] for each in row["broken"]]) == ("ImageNotFound", ["geoip", "locator", "portal"])


def test_in_saved_objects_a_name_that_only_one_namespace_has_needs_no_namespace(sick):
    assert kubernaut("investigate", "deploy/checkout", "--from-dump", sick).stdout.startswith("shop/deployment/checkout")
    text = kubernaut("investigate", "deploy/checkout", "-n", "other", "--from-dump", sick, code=1).stderr
    assert "there is no Deployment 'checkout' in namespace other; use -n with one of: shop" in text


def test_saved_logs_are_evidence(tmp_path):
    directory = save(tmp_path, *objects(World(statuses=[[crash_loop(CRASHED)]] * 3)))
    (directory / "logs" / "shop" / "checkout-hash1-0").mkdir(parents=True)
    (directory / "logs" / "shop" / "checkout-hash1-0" / "app.previous.log").write_text(
        "starting\nlisten tcp :80: bind: address already in use\n"
    )
    found = investigated(directory)
    assert (found["cause"]["name"], found["evidence"][0]["value"]) == ("PortInUse", "listen tcp :80: bind: address already in use")


def test_lists_whose_items_do_not_say_their_kind_are_read(tmp_path):
    """As `kubectl cluster-info dump` writes them."""
    found = [{key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}} for obj in SICK.pods()]
    rest = [obj for obj in objects(SICK) if obj["kind"] != "Pod"]
    save(tmp_path, *rest)
    save(tmp_path / "shop", {"kind": "PodList", "apiVersion": "v1", "items": found}, name="pods.yaml")
    assert investigated(tmp_path)["cause"]["name"] == "OOMKilled"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["deploy/x", "-A"], "--all-namespaces goes without a name"),
        (["--explain"], "--explain is about one object"),
    ],
)
def test_what_does_not_go_together_is_told(sick, arguments, says):
    assert says in kubernaut("investigate", *arguments, "--from-dump", sick, code=2).stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nodes-full", "whoever runs its machines must add one"),
        ("image-refused", "whoever has them must renew the pull secret"),
    ],
)
def test_what_no_workflow_could_ever_do_is_said_with_who_can(tmp_path, name, says):
    [case] = [case for case in cases() if case.name == name]
    subject = case.header["subject"]
    named = f"{subject['kind']}/{subject['name']}"
    text = kubernaut("investigate", named, "-n", "shop", "--from-dump", save(tmp_path, *case.objects), "--whole").stdout
    assert says in text


@pytest.mark.parametrize("name", ["oom-under-an-argo-rollout", "stateful-set-of-an-operator"])
def test_what_a_kind_that_we_cannot_read_controls_is_looked_at_in_its_place(tmp_path, name):
    [case] = [case for case in cases() if case.name == name]
    subject = case.header["subject"]
    named = [f"{subject['kind']}/{subject['name']}", "-n", subject["namespace"], "--from-dump", save(tmp_path, *case.objects), "--whole"]
    found = json.loads(kubernaut("investigate", *named, "-o", "json").stdout)
    assert (found["cause"]["name"], found["target"]["kind"]) == (
        case.expected["cause"],
        {"Pod": "ReplicaSet"}.get(subject["kind"], subject["kind"]),
    )

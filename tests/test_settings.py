"""Settings are read once, and every fault is told at once."""

from contextlib import suppress
from datetime import timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from kubernaut.settings import BadSettings, Settings, load

NONE: dict[str, str] = {}


@pytest.fixture
def file(tmp_path):
    """Write a settings file; give its path."""

    def write(text):
        path = tmp_path / "kubernaut.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_without_a_file_and_variables_the_defaults_hold():
    assert load(None, NONE) == Settings()


@pytest.mark.parametrize("text", ["", "{}", "# nothing yet\n", "gateway: {}\n"])
def test_a_file_that_says_nothing_changes_nothing(file, text):
    assert load(file(text), NONE) == Settings()


def test_a_file_sets_what_it_names_and_leaves_the_rest(file):
    found = load(file("namespace: ops\ngateway: {port: 9000}\nworkflow:\n  cooldown: PT1M\norchestration:\n  retention: 3600\n"), NONE)
    assert (found.namespace, found.gateway.port, found.gateway.host) == ("ops", 9000, "127.0.0.1")
    assert (found.workflow.cooldown, found.orchestration.retention) == (timedelta(minutes=1), timedelta(hours=1))


@pytest.mark.parametrize("written", ["90m", "1h30m", "'01:30:00'", "PT1H30M", "5400"])
def test_a_duration_may_be_written_as_people_write_it(file, written):
    found = load(
        file(f"orchestration: {{retention: {written}, retention_by_environment: {{production: {written}}}}}\n"), NONE
    ).orchestration
    assert (found.retention, found.retention_by_environment) == (timedelta(minutes=90), {"production": timedelta(minutes=90)})


def test_what_is_no_duration_is_told_with_an_example(file):
    with pytest.raises(BadSettings, match=r"orchestration\.retention: .*'5m30' is no duration; write it like 90s, 10m or 1h30m"):
        load(file("orchestration: {retention: 5m30}\n"), NONE)


def test_a_variable_wins_over_the_file_and_is_read_as_yaml(file):
    variables = {
        "KUBERNAUT_GATEWAY__PORT": "9100",
        "KUBERNAUT_ORCHESTRATION__VERIFICATION": "false",
        "KUBERNAUT_EXECUTION__PROTECTED_NAMESPACES": "[kube-system, vault]",
        "KUBERNAUT_NOTIFICATION__WEBHOOK__URL": "https://hooks.example/x",
    }
    found = load(file("gateway: {port: 9000, host: 127.0.0.2}\n"), variables)
    assert (found.gateway.port, found.gateway.host) == (9100, "127.0.0.2")
    assert found.orchestration.verification is False
    assert found.execution.protected_namespaces == {"kube-system", "vault"}
    assert found.notification.webhook is not None
    assert str(found.notification.webhook.url) == "https://hooks.example/x"


def test_other_variables_are_none_of_our_business():
    variables = {"KUBERNAUT_TEST_KUBECONFIG": "/x", "PATH": "/bin", "GATEWAY__PORT": "1", "kubernaut_gateway__port": "1"}
    assert load(None, variables) == Settings()


def test_all_faults_are_told_at_once_each_by_its_place(file):
    text = (
        "gateway: {port: 99999, hots: x}\nworkflow: {cooldown: soon}\nnope: 1\nlog_level: loud\nnotification: {webhook: {url: nowhere}}\n"
    )
    with pytest.raises(BadSettings) as fault:
        load(file(text), {"KUBERNAUT_PROCESSING__CONTEXT_LIMIT": "1", "KUBERNAUT_NOPE__X": "1"})
    said = str(fault.value)
    for place in (
        "gateway.port",
        "gateway.hots",
        "workflow.cooldown",
        "log_level",
        "notification.webhook.url",
        "processing.context_limit",
        "KUBERNAUT_NOPE__X",
    ):
        assert f"  - {place}: " in said
    assert "nope: Extra inputs are not permitted" in said


def test_a_variable_that_goes_through_a_plain_value_is_named(file):
    with pytest.raises(BadSettings, match="KUBERNAUT_NAMESPACE__NAME: a section of that name holds a plain value"):
        load(file("namespace: ops\n"), {"KUBERNAUT_NAMESPACE__NAME": "x"})


def test_a_variable_that_is_no_yaml_is_named_and_other_faults_are_told_too(file):
    with pytest.raises(BadSettings, match=r"(?s)KUBERNAUT_GATEWAY__HOST.*gateway\.port"):
        load(file("gateway: {port: -1}\n"), {"KUBERNAUT_GATEWAY__HOST": "[unclosed"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("gateway: [unclosed", "is no YAML", id="no YAML"),
        pytest.param("a: b: c", "is no YAML", id="YAML that is none"),
        pytest.param("gateway: {port: 2026-13-45}", "is no YAML", id="a date that is none"),
        pytest.param("- a\n- b\n", "must hold a mapping of sections", id="a list"),
        pytest.param("just words", "must hold a mapping of sections", id="a text"),
        pytest.param("gateway: 5\n", "gateway: ", id="a section that is a number"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(file, text, said):
    with pytest.raises(BadSettings, match=said):
        load(file(text), NONE)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(BadSettings, match=r"missing\.yaml cannot be read"):
        load(tmp_path / "missing.yaml", NONE)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadSettings, match=r"binary\.yaml"):
        load(tmp_path / "binary.yaml", NONE)


def test_a_section_named_with_no_value_keeps_its_defaults(file):
    assert load(file("gateway:\n"), {"KUBERNAUT_GATEWAY__PORT": "9100"}).gateway.port == 9100


def test_secrets_are_not_shown():
    found = load(
        None, {"KUBERNAUT_NOTIFICATION__WEBHOOK__URL": "https://hooks.example", "KUBERNAUT_NOTIFICATION__WEBHOOK__SECRET": "hunter2"}
    )
    assert "hunter2" not in repr(found)
    webhook = found.notification.webhook
    assert webhook is not None
    assert webhook.secret == SecretStr("hunter2")


def test_a_fault_does_not_repeat_the_value_which_may_be_a_secret(file):
    with pytest.raises(BadSettings) as fault:
        load(file("notification: {webhook: {url: 'https://hooks.example', secret: [hunter2]}}\n"), NONE)
    assert "hunter2" not in str(fault.value)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        setattr(Settings().gateway, "port", 1)  # noqa: B010  (mypy forbids the plain way)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2), max_leaves=4
)


@given(
    st.dictionaries(
        st.sampled_from([*Settings.model_fields, "x"]),
        JUNK | st.dictionaries(st.sampled_from(["host", "port", "x"]), JUNK, max_size=2),
        max_size=3,
    )
)
def test_whatever_a_file_holds_is_used_or_refused_with_words(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("settings") / "kubernaut.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with suppress(BadSettings):
        assert isinstance(load(path, NONE), Settings)

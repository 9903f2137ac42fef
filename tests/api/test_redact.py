"""Secrets are taken out of text before it leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.redact import DROPPED, HIDDEN, redact, redact_value

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJlLXBhcnQ"
PLANTED = [
    pytest.param("password=hunter2 rest", "hunter2", "rest", id="key=value"),
    pytest.param("DB_PASSWORD: 'two words' rest", "two words", "DB_PASSWORD", id="a quoted value"),
    pytest.param('{"apiKey": "abc-123", "kept": "yes"}', "abc-123", '"kept": "yes"', id="JSON"),
    pytest.param('{"token": "with \\" quote inside"}', "quote inside", "token", id="JSON with an escaped quote"),
    pytest.param("Authorization: Bearer abcdef123456", "abcdef123456", "Authorization", id="a header"),
    pytest.param("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "Authorization", id="basic authentication"),
    pytest.param("sent bearer abcdef123456 on", "abcdef123456", "on", id="a bearer token in prose"),
    pytest.param(f"got {JWT} back", JWT, "back", id="a JSON web token"),
    pytest.param("postgres://shop:s3cr3t@db:5432/shop", "s3cr3t", "postgres://shop:", id="a URL with a password"),
    pytest.param("key ghp_0123456789abcdefghijABCDEFGHIJ012345 end", "ghp_0123456789", "end", id="a GitHub token"),
    pytest.param("key sk-proj-0123456789abcdefghij end", "sk-proj-0123456789", "end", id="a model key"),
    pytest.param("key xoxb-1234567890-abcdefghij end", "xoxb-1234567890", "end", id="a Slack token"),
    pytest.param("id AKIAIOSFODNN7EXAMPLE end", "AKIAIOSFODNN7EXAMPLE", "end", id="an AWS access key"),
    pytest.param("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\nafter", "MIIEow", "after", id="a private key"),
    pytest.param("curl -u shop:hunter2x https://x", "hunter2x", "https://x", id="a login on a command line"),
    pytest.param("shop --token abc123 --verbose", "abc123", "--verbose", id="a flag"),
    pytest.param("shop:hunter2x@tcp(mysql:3306)/shop", "hunter2x", "mysql:3306", id="a MySQL address"),
    pytest.param("AccountName=shop;AccountKey=abc/def==;EndpointSuffix=x", "abc/def", "EndpointSuffix=x", id="an Azure connection string"),
    pytest.param("https://hooks.slack.com/services/T0/B0/xyz next", "T0/B0/xyz", "next", id="a Slack webhook"),
    pytest.param("password: |\n  abc\n  def\nnext: 1", "def", "next: 1", id="a YAML block"),
    pytest.param("kind: Secret\ndata:\n  any: YWJj\ntype: Opaque", "YWJj", "type: Opaque", id="a manifest in YAML"),
    pytest.param('it={"kind":"Secret","data":{"any":"YWJj"},"x":1} end', "YWJj", "end", id="a manifest in a log line"),
    pytest.param('said {\\"token\\":\\"a\\\\\\"b-tail\\"} end', "b-tail", "end", id="escaped JSON with an escaped quote"),
    pytest.param("Cookie: a=b; session=xyz\nafter", "xyz", "after", id="cookies"),
    pytest.param("-----BEGIN PRIVATE KEY-----\nMIIEow cut off", "MIIEow", "", id="a private key that was cut off"),
]


@pytest.mark.parametrize(("text", "secret", "kept"), PLANTED)
def test_a_secret_goes_and_what_stands_around_it_stays(text, secret, kept):
    clean = redact(text)
    assert secret not in clean
    assert HIDDEN in clean
    assert kept in clean


@pytest.mark.parametrize(("text", "secret", "kept"), PLANTED)
def test_a_clean_text_is_left_as_it_is(text, secret, kept):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Pod payment-service-7c9f restarted 5 times: OOMKilled (exit code 137)",
        "Back-off restarting failed container",
        'MountVolume.SetUp failed for volume "data": secret "db-creds" not found',
        "couldn't find key password in Secret prod/db",
        "basic authentication failed, bearer certificates unknown",
        "tokensUsed=1234 tokens: 55 secretName: db token: expired",
        "ssh://git@host:22/x http://host:8080/x?mail=a@b",
        "if token == nil",
        "see https://grafana.example/d/abc?orgId=1 and https://alertmanager.example:9093",
        "image registry.example/shop@sha256:" + "a" * 64,
    ],
)
def test_what_people_need_is_not_hidden(text):
    assert redact(text) == text


def test_decoded_json_is_searched_whole_and_secret_names_hide_all_below_them():
    value = {
        "env": [{"name": "A", "value": f"x {JWT}"}],
        "password": "hunter2",
        "tokens": ["one", "two"],
        "count": 3,
        "empty": {"secret": ""},
    }
    assert redact_value(value) == {
        "env": [{"name": "A", "value": f"x {HIDDEN}"}],
        "password": HIDDEN,
        "tokens": [HIDDEN, HIDDEN],
        "count": 3,
        "empty": {"secret": ""},
    }


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="&'\",;}"), min_size=4)
    .filter(lambda text: not any(map(str.isspace, text)))
    .map("7{}".format)
)
def test_whatever_stands_behind_a_secrets_name_is_hidden(secret):
    assert redact(f"before password={secret} after") == f"before password={HIDDEN} after"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_redacting_keeps_the_shape(value):
    clean = redact_value(value)
    assert type(clean) is type(value)
    if isinstance(value, dict):
        assert clean.keys() == value.keys()


@pytest.mark.parametrize("word", ["x", "a.", "token.", "token ", '"a.', "eyJaaaaaaaa-", "a://", "-----BEGIN ", "bearer ", "password=a,"])
def test_a_long_text_costs_what_its_length_costs(word):
    """Texts come from alerts and pods: one that took the square of its length would stop the process."""
    text = word * (60_000 // len(word))
    assert redact(redact(text)) == redact(text)


def test_kubernetes_objects_are_read_as_what_they_are():
    volume = {"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "p"}]}}
    source = {"secretKeyRef": {"name": "s", "key": "password"}}
    applied = '{"kind":"Secret","stringData":{"any":"plain"}}'
    obj = {
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
        "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "OTHER", "valueFrom": source}],
        "args": ["--password", "x", "-c", "y"],
        "volumes": [volume],
        "hard": {"secrets": "10"},
        "items": [{"kind": "Secret", "data": {"any": "YWJj"}}],
    }
    assert redact_value(obj) == {
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.replace("plain", HIDDEN)}},
        "env": [{"name": "DB_PASSWORD", "value": HIDDEN}, {"name": "OTHER", "valueFrom": source}],
        "args": ["--password", HIDDEN, "-c", "y"],
        "volumes": [volume],
        "hard": {"secrets": "10"},
        "items": [{"kind": "Secret", "data": {"any": HIDDEN}}],
    }


def test_what_cannot_be_searched_is_left_out_and_says_so():
    assert redact("[" * 100_000) == DROPPED
    deep: list[object] = ["kept nowhere"]
    for _ in range(100):
        deep = [deep]
    assert "kept nowhere" not in str(redact_value(deep))
    assert DROPPED in str(redact_value(deep))

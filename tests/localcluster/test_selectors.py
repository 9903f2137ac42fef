import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster.selectors import (
    SelectorError,
    field_equalities,
    field_selector,
    label_selector,
    label_selector_of,
)

LABELS = {"app": "web", "tier": "2", "example.dev/owner": "ann", "empty": ""}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=2", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("absent!=x", True),
        ("app in (web,db)", True),
        ("app in (db)", False),
        ("app notin (db, cache)", True),
        ("absent notin (db)", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("tier>1", True),
        ("tier<2", False),
        ("app>1", False),
        ("example.dev/owner=ann", True),
        ("empty=", True),
        ("app=", False),
        ("empty in (,x)", True),
        ("app=web,!absent,tier in (2)", True),
    ],
)
def test_a_label_selector_selects_as_kubernetes_does(text: str, selected: bool):
    assert label_selector(text)(LABELS) is selected


@pytest.mark.parametrize(
    "text", ["a=b,", ",a=b", "a in b", "a in (b", "(a)", "a b", "a=b=c", "-a", "a=-b-", "a>x", "!a=b", "A B/c=d", "a/b/c"]
)
def test_a_broken_label_selector_is_refused(text: str):
    with pytest.raises(SelectorError):
        label_selector(text)


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "3"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_label_selector_object_selects_as_kubernetes_does(selector, selected: bool):
    assert label_selector_of(selector)(LABELS) is selected


def test_an_unknown_operator_of_a_selector_object_is_refused():
    with pytest.raises(SelectorError, match='"Like" is not a valid label selector operator'):
        label_selector_of({"matchExpressions": [{"key": "a", "operator": "Like"}]})


POD = {"metadata": {"name": "p", "namespace": "ns"}, "spec": {"nodeName": "n1", "hostNetwork": True}, "status": {}}
FIELDS = {"metadata.name", "metadata.namespace", "spec.nodeName", "spec.hostNetwork", "status.phase"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("metadata.name=p", True),
        ("metadata.name==p,metadata.namespace=ns", True),
        ("metadata.name!=p", False),
        ("spec.nodeName=n2", False),
        ("spec.hostNetwork=true", True),
        ("status.phase=", True),
        ("status.phase!=Running", True),
    ],
)
def test_a_field_selector_compares_texts_and_takes_absent_as_empty(text: str, selected: bool):
    assert field_selector(text, FIELDS)(POD) is selected


def test_a_field_that_cannot_be_selected_on_is_named():
    with pytest.raises(SelectorError, match=r"^field label not supported: spec\.owner$"):
        field_selector("metadata.name=p,spec.owner=ann", FIELDS)


def test_a_field_selector_without_operator_is_refused():
    with pytest.raises(SelectorError, match="invalid selector"):
        field_selector("metadata.name", FIELDS)


def test_values_of_field_selectors_may_hold_escaped_characters():
    assert field_selector(r"metadata.name=a\,b\=c\\d", FIELDS)({"metadata": {"name": r"a,b=c\d"}})


def test_equalities_are_what_a_list_can_turn_into_a_read():
    assert field_equalities("metadata.name=p,metadata.namespace!=ns") == {"metadata.name": "p"}


names = st.from_regex(r"[a-z]([a-z0-9.]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.dictionaries(names, names, max_size=4), st.dictionaries(names, names, max_size=3))
def test_a_selector_of_equalities_selects_exactly_the_supersets(labels, wanted):
    text = ",".join(f"{key}={value}" for key, value in wanted.items())
    assert label_selector(text)(labels) is (wanted.items() <= labels.items())


@given(names, names, st.dictionaries(names, names, max_size=3))
def test_in_and_notin_are_opposites(key, value, labels):
    assert label_selector(f"{key} in ({value})")(labels) is not label_selector(f"{key} notin ({value})")(labels)

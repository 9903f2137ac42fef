"""What links and buttons carry: opened only as it was sealed, for what it was sealed for, and good for that very question."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.notification.answering.keys import BadKeys, Keys
from kubernaut.notification.answering.ticket import FORM_TIME, LONGEST, Purpose, bound_to, form_for, is_form_of, seal, ticket_for, unseal
from tests.questions import question

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
KEYS = MultiFernet([Fernet(Fernet.generate_key())])
ASKED = question()
TICKET = ticket_for(ASKED, "ask-notification", Purpose.LINK, "email ada@example.com")
SEALED = seal(KEYS, TICKET, NOW)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_what_was_sealed_is_opened_and_shows_nothing_before():
    assert unseal(KEYS, SEALED, Purpose.LINK) == TICKET
    assert "ada" not in SEALED
    assert len(SEALED) < LONGEST


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(SEALED) - 1), st.sampled_from(ALPHABET + "=+/.% é\n\x00"))
def test_any_character_changed_refuses(place, other):
    changed = SEALED[:place] + other + SEALED[place + 1 :]
    assert (unseal(KEYS, changed, Purpose.LINK) is None) == (changed != SEALED)


@pytest.mark.parametrize("place", [-1, -2, -3])
def test_bits_that_decoders_ignore_are_not_ignored(place):
    others = [SEALED[:place] + each + SEALED[len(SEALED) + place + 1 :] for each in ALPHABET if each != SEALED[place]]
    assert [unseal(KEYS, each, Purpose.LINK) for each in others] == [None] * 63


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.text(max_size=20), st.binary(max_size=60).map(lambda raw: urlsafe_b64encode(raw).decode().rstrip("="))))
def test_what_somebody_makes_up_is_no_ticket(text):
    assert unseal(KEYS, text, Purpose.LINK) is None


WRONG = {
    "cut": SEALED[:-1],
    "longer": SEALED + "A",
    "padded": SEALED + "=",
    "with a space": f"{SEALED} ",
    "with what decoders skip": f"{SEALED[:9]}!{SEALED[9:]}",
    "endless": "A" * (LONGEST + 1),
    "of another key": seal(MultiFernet([Fernet(Fernet.generate_key())]), TICKET, NOW),
    "a button": seal(KEYS, replace(TICKET, purpose=Purpose.BUTTON), NOW),
    "a page's": seal(KEYS, form_for(TICKET, SEALED, NOW), NOW),
    "sealed by us, but something else": KEYS.encrypt(b'["link"]').decode().rstrip("="),
    "empty": "",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_anything_else_is_no_link(text):
    assert unseal(KEYS, text, Purpose.LINK) is None


def test_the_page_of_one_link_is_good_for_that_link_and_for_half_an_hour():
    form, moment = form_for(TICKET, SEALED, NOW), timedelta(seconds=1)
    assert is_form_of(form, SEALED, NOW + FORM_TIME - moment)
    assert not is_form_of(form, SEALED, NOW + FORM_TIME)
    assert not is_form_of(form, seal(KEYS, TICKET, NOW + moment), NOW)
    assert not is_form_of(None, SEALED, NOW)
    late = form_for(replace(TICKET, expires=int(NOW.timestamp()) + 60), SEALED, NOW)
    assert not is_form_of(late, SEALED, NOW + timedelta(seconds=60)), "never beyond the deadline"


OTHERS = {
    "object": question().model_copy(update={"metadata": ASKED.metadata.model_copy(update={"uid": "another"})}),
    "plan": question(boundTo="another"),
    "deadline": question(requiredBy="2126-01-01T00:00:01Z"),
    "parameters": question(recommendation={**ASKED.spec.recommendation.wire(), "parameters": {"MEMORY_LIMIT": "512Mi"}}),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_ticket_is_bound_to_what_was_asked(other):
    assert bound_to(question()) == bound_to(ASKED) != bound_to(other)


def test_an_answer_leaves_the_other_tickets_of_the_same_question_as_they_are():
    said = question({"approvals": [{"approver": "ada", "decision": "Approved"}]})
    assert bound_to(said) == bound_to(ASKED)


def test_a_key_is_made_once_for_its_owner_alone_and_one_that_was_replaced_still_opens(tmp_path):
    file = tmp_path / "answers.key"
    keys = Keys(file)
    keys.prepare()
    assert file.stat().st_mode & 0o777 == 0o600
    old = seal(keys.read(), TICKET, NOW)
    Keys(file).prepare()
    assert unseal(keys.read(), old, Purpose.LINK) == TICKET
    file.write_bytes(Fernet.generate_key() + b"\n" + file.read_bytes())
    assert unseal(keys.read(), old, Purpose.LINK) == TICKET
    file.write_bytes(Fernet.generate_key())
    assert unseal(keys.read(), old, Purpose.LINK) is None


@pytest.mark.parametrize("content", [b"", b"secret", b"\xff\xfe", b"A" * 43], ids=["empty", "short", "binary", "no padding"])
def test_what_is_no_key_is_refused_at_the_start(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(BadKeys, match="32 random bytes"):
        Keys(tmp_path / "key").prepare()
    with pytest.raises(BadKeys, match="cannot be made: No such file or directory"):
        Keys(tmp_path / "no" / "key").prepare()

"""Mails to a real SMTP server: TLS first, then the login; text and HTML; what follows answers the first."""

from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr, ValidationError

from kubernaut.api.notification import DeliveryEvent
from kubernaut.notification.channels.base import Link, NotDelivered
from kubernaut.notification.channels.email import Email
from kubernaut.notification.settings import EmailSettings
from tests.notification.mailbox import Mailbox
from tests.notification.pieces import BODY, START, note
from tests.notification.receivers import PLANTED


@asynccontextmanager
async def mail(tmp_path, mailbox=None, **changes):
    box = mailbox or Mailbox(tmp_path)
    async with box.serving() as port:
        fields = {"host": "127.0.0.1", "port": port, "username": "kubernaut", "password": SecretStr(PLANTED), "ca_file": box.certificate}
        fields |= {"sender": "kubernaut@example.com", "to": "ops@example.com"} | changes
        yield box, Email(EmailSettings(**fields), now=lambda: START)


async def test_a_mail_has_the_text_as_it_is_and_as_html(tmp_path):
    async with mail(tmp_path) as (box, channel):
        receipt = await channel.send(note(body=BODY, subject="Shop 漢 🚨 is <down>"))
    [got] = box.mails
    assert (got["From"], got["To"], got["Subject"]) == ("kubernaut@example.com", "ops@example.com", "Shop 漢 🚨 is <down>")
    assert (got["Message-ID"], got["Auto-Submitted"], got["X-Kubernaut-Case"]) == (receipt, "auto-generated", "remediation-abcde12345")
    assert "## Why" in got.get_body(("plain",)).get_content()
    page = got.get_body(("html",)).get_content()
    assert "<h2>Why</h2>" in page
    assert "<strong>growing</strong>" in page
    assert "<h2>Shop 漢 🚨 is &lt;down&gt;</h2>" in page
    assert 'href="https://grafana.example/d/1?a=b&amp;c=d"' in page


async def test_what_a_reader_can_answer_with_comes_first_and_is_told_to_be_theirs(tmp_path):
    async with mail(tmp_path) as (box, channel):
        await channel.send(note(body=BODY, answers=(Link("Approve or reject", "https://kubernaut.example/link?m=a&t=b"),)))
    text, page = (box.mails[0].get_body((each,)).get_content() for each in ("plain", "html"))
    first, second = text.splitlines()[:2]
    assert first == "Approve or reject: https://kubernaut.example/link?m=a&t=b"
    assert second.startswith("The link is yours alone")
    assert 'href="https://kubernaut.example/link?m=a&amp;t=b"' in page
    assert page.index("kubernaut.example/link") < page.index("Memory ran out") < page.index("grafana.example")


async def test_html_in_a_text_is_shown_and_not_obeyed(tmp_path):
    async with mail(tmp_path) as (box, channel):
        await channel.send(note(body="<script>alert(1)</script>", links=(Link("<b>", 'https://x.example/"><script>'),)))
    page = box.mails[0].get_body(("html",)).get_content()
    assert "<script>" not in page


async def test_an_address_of_its_own_is_written_to(tmp_path):
    async with mail(tmp_path) as (box, channel):
        await channel.send(note(address="oncall@example.com"))
    assert [got["To"] for got in box.mails] == ["oncall@example.com"]
    assert channel.place("ops@example.com") == channel.place("#no-address") == ""


async def test_the_same_message_has_the_same_id_at_every_try_and_another_its_own(tmp_path):
    async with mail(tmp_path) as (box, channel):
        for each in (note(), note(), note(id="u-2"), note(address="oncall@example.com"), note(event=DeliveryEvent.CLOSED)):
            await channel.send(each)
    first, again, *others = (got["Message-ID"] for got in box.mails)
    assert first == again
    assert len({first, *others}) == 4


async def test_what_follows_answers_the_first_mail(tmp_path):
    async with mail(tmp_path) as (box, channel):
        receipt = await channel.send(note())
        await channel.send(note(event=DeliveryEvent.CLOSED, note="The case has ended.", receipt=receipt))
    follow = box.mails[1]
    assert (follow["In-Reply-To"], follow["Subject"]) == (receipt, "Re: Approve?")
    assert "The case has ended." in follow.get_body(("plain",)).get_content()


async def test_a_subject_of_several_lines_forges_no_header(tmp_path):
    async with mail(tmp_path) as (box, channel):
        await channel.send(note(subject="down\r\nBcc: everybody@example.com"))
    assert box.mails[0]["Bcc"] is None
    assert box.mails[0]["Subject"] == "down Bcc: everybody@example.com"


async def test_long_lines_arrive_whole(tmp_path):
    async with mail(tmp_path) as (box, channel):
        await channel.send(note(body="x" * 20_000))
    assert "x" * 20_000 in box.mails[0].get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("changes", "permanent", "said"),
    [
        ({"password": SecretStr("wrong")}, True, "answered 535"),
        ({"ca_file": None}, True, "cannot be used safely"),
        ({"host": "localhost.invalid"}, False, "not reached"),
    ],
    ids=["login", "certificate", "away"],
)
async def test_what_keeps_a_mail_from_being_handed_over_is_said(tmp_path, changes, permanent, said):
    async with mail(tmp_path, **changes) as (box, channel):
        with pytest.raises(NotDelivered, match=said) as fault:
            await channel.send(note())
    assert fault.value.permanent is permanent
    assert box.mails == []


async def test_no_password_goes_to_a_server_without_tls(tmp_path):
    async with mail(tmp_path, Mailbox(tmp_path, tls=False)) as (box, channel):
        with pytest.raises(NotDelivered, match="STARTTLS"):
            await channel.send(note())
    assert box.requests == 0
    with pytest.raises(ValidationError, match="not sent without TLS"):
        EmailSettings(host="x", username="u", password=SecretStr("p"), tls="none", to="ops@example.com")


async def test_the_password_is_read_anew_for_each_mail(tmp_path):
    file = tmp_path / "password"
    async with mail(tmp_path, password=None, password_file=file) as (box, channel):
        with pytest.raises(NotDelivered, match="cannot be read"):
            await channel.send(note())
        file.write_text(f"{PLANTED}\n")
        await channel.send(note())
    assert len(box.mails) == 1

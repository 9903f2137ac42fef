"""E-mail: a message as text and HTML, to a mail server by SMTP with TLS and login; what follows answers the first mail of its case."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from html import escape
from typing import Final

import aiosmtplib

from kubernaut.api.notification import ChannelName, DeliveryEvent, Priority
from kubernaut.notification.channels.base import Message, NotDelivered, secret_of
from kubernaut.notification.channels.http import said
from kubernaut.notification.channels.markup import html, one_line
from kubernaut.notification.settings import EmailSettings

SUBJECT: Final = 250
IMPORTANCE: Final = {Priority.CRITICAL: "high", Priority.HIGH: "high", Priority.MEDIUM: "normal", Priority.LOW: "low"}
GONE_FOR_GOOD: Final = range(500, 600)
"""SMTP's answers that no further try can change."""
STYLE: Final = "font-family:sans-serif;max-width:60em;line-height:1.4"
BUTTON: Final = "display:inline-block;padding:12px 20px;border-radius:8px;background:#14713d;color:#ffffff;text-decoration:none"
ALONE: Final = "The link is yours alone: whoever has it answers in your name. It shows what would be done, and asks once more."


class Email:
    """Hands mails to a server, each in a session of its own."""

    name = ChannelName.EMAIL
    follows = frozenset({DeliveryEvent.CLOSED})

    def __init__(self, settings: EmailSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._now = now
        self._trusted: tuple[int, ssl.SSLContext] | None = None

    def place(self, address: str) -> str:
        """Return the address, which is empty for the one that is told otherwise."""
        return address if "@" in address and address != self._settings.to else ""

    async def send(self, message: Message) -> str:
        """Hand the mail over; return its Message-ID."""
        mail = mail_of(message, sender=self._settings.sender, to=message.address or self._settings.to, now=self._now())
        password = secret_of(self._settings.password, self._settings.password_file)
        try:
            await self._hand_over(mail, password)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused(error.recipients[0], password) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error, password) from error
        except (aiosmtplib.SMTPNotSupported, ssl.SSLCertVerificationError) as error:
            raise NotDelivered(f"the mail server cannot be used safely: {said(str(error), (password,))}", permanent=True) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotDelivered(f"the mail server was not reached: {said(str(error), (password,))}", permanent=False) from error
        return str(mail["Message-ID"])

    async def _hand_over(self, mail: EmailMessage, password: str) -> None:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=await asyncio.to_thread(self._trust),
        )
        await client.connect()
        try:
            if settings.username:
                await client.login(settings.username, password)
            await client.send_message(mail)
            with suppress(aiosmtplib.SMTPException):  # the mail was taken; how the farewell goes changes nothing
                await client.quit()
        finally:
            client.close()

    def _trust(self) -> ssl.SSLContext:
        """Return whom to trust; read again when the file of certificates has changed."""
        file = self._settings.ca_file
        changed = file.stat().st_mtime_ns if file is not None else 0
        if self._trusted is None or self._trusted[0] != changed:
            context = ssl.create_default_context()
            if file is not None:
                context.load_verify_locations(file)
            self._trusted = changed, context
        return self._trusted[1]


def _refused(error: aiosmtplib.SMTPResponseException, password: str) -> NotDelivered:
    permanent = error.code in GONE_FOR_GOOD
    return NotDelivered(f"the mail server answered {error.code}: {said(str(error.message), (password,))}", permanent=permanent)


def mail_of(message: Message, *, sender: str, to: str, now: datetime) -> EmailMessage:
    """Return a mail; the same message to the same address has the same Message-ID at every try, so that readers may drop repeats."""
    mail = EmailMessage()
    follow = message.event is not DeliveryEvent.TOLD
    mail["From"], mail["To"] = sender, to
    mail["Subject"] = one_line(f"{'Re: ' if follow else ''}{message.subject}", SUBJECT)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = _message_id(message, to, sender)
    first = message.receipt or message.thread
    if first:
        mail["In-Reply-To"], mail["References"] = first, first
    mail["Importance"] = IMPORTANCE[message.priority]
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Kubernaut-Case"] = message.correlation_id
    text = message.note if follow else message.body
    mail.set_content(_text(message, text), cte="quoted-printable")
    mail.add_alternative(_page(message, text), subtype="html", cte="quoted-printable")
    return mail


def _message_id(message: Message, to: str, sender: str) -> str:
    mark = sha256(f"{message.id}/{message.event.value}/{to}".encode()).hexdigest()[:32]
    return f"<{mark}@{sender.rpartition('@')[2]}>"


def _text(message: Message, text: str) -> str:
    answers = "\n".join(f"{link.text}: {link.url}\n{ALONE}" for link in message.answers)
    links = "\n".join(f"{link.text}: {link.url}" for link in message.links)
    return "\n\n".join(part for part in (answers, text, links, f"{message.priority.value} · case {message.correlation_id}") if part)


def _page(message: Message, text: str) -> str:
    answers = "".join(
        f'<p><a href="{escape(link.url)}" style="{BUTTON}">{escape(link.text)}</a></p><p><small>{ALONE}</small></p>'
        for link in message.answers
    )
    links = "".join(f'<li><a href="{escape(link.url)}">{escape(link.text)}</a></li>' for link in message.links)
    foot = f"<p><small>{escape(message.priority.value)} · case {escape(message.correlation_id)}</small></p>"
    listed = f"<ul>{links}</ul>" if links else ""
    title = f"<h2>{escape(message.subject)}</h2>"
    return f'<!doctype html><html><body style="{STYLE}">{title}{answers}{html(text)}{listed}{foot}</body></html>'

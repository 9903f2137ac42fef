"""The other side of the mail channel: an SMTP server on loopback that asks for TLS and a login, and keeps what it takes."""

import asyncio
import email
import email.policy
import ipaddress
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.notification.receivers import PLANTED

LINE = 998
"""Characters of a line of mail, by RFC 5322."""


def certificate(folder):
    """Write a certificate of 127.0.0.1 and its key; return the two paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = folder / "tls.crt", folder / "tls.key"
    pair[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kept = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pair[1].write_bytes(kept)
    return pair


class Mailbox:
    """Takes mails over TLS after a login; `fault` is its answer to them while it is ill."""

    def __init__(self, folder, *, tls=True):
        self.certificate, self._key = certificate(folder)
        self._tls = tls
        self.fault: str | None = None
        self.mails: list[email.message.EmailMessage] = []
        self.requests = 0

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802  (the library's)
        self.requests += 1
        if self.fault is not None:
            return self.fault
        assert session.authenticated
        assert all(len(line) <= LINE for line in envelope.content.splitlines())
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert not mail.defects
        assert envelope.rcpt_tos == [mail["To"]]
        self.mails.append(mail)
        return "250 kept"

    def texts(self):
        """Return what was taken, as text in which all that people would read stands."""
        parts = [(mail["Subject"], mail.get_body(("plain",))) for mail in self.mails]
        return [f"{subject}\n{part.get_content()}" for subject, part in parts if part is not None]

    def _login(self, _server, _session, _envelope, _mechanism, data):
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) == (b"kubernaut", PLANTED.encode()), handled=False)

    @asynccontextmanager
    async def serving(self):
        """Give the port while it serves; who is being served when it ends is cut off."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        wanted = {"tls_context": context, "require_starttls": True, "auth_required": True} if self._tls else {"auth_require_tls": False}
        talks = []

        def talk():
            talks.append(SMTP(self, hostname="mail.example", authenticator=self._login, loop=asyncio.get_running_loop(), **wanted))
            return talks[-1]

        server = await asyncio.get_running_loop().create_server(talk, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            handlers = [each._handler_coroutine for each in talks if each._handler_coroutine]
            for handler in handlers:
                handler.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)
            for each in talks:
                if isinstance(each.transport, asyncio.WriteTransport):
                    each.transport.abort()
            await server.wait_closed()

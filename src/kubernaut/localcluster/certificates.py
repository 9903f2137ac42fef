"""A self-signed certificate for the cluster's own HTTPS: kubectl sends its token over nothing else."""

import ipaddress
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=3650)
_EARLIER = timedelta(hours=1)
_SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernaut-localcluster")])


@dataclass(frozen=True)
class Identity:
    """A key and its certificate, as PEM."""

    key: str
    certificate: str

    def context(self) -> ssl.SSLContext:
        """Return a TLS context for a server."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # the ssl module reads from files alone
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "identity.pem"
            path.touch(mode=0o600)
            path.write_text(self.key + self.certificate)
            made.load_cert_chain(path)
        return made


def make_identity(names: Iterable[str], now: datetime) -> Identity:
    """Make a key and a certificate for host names and addresses, good for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    subject_key = x509.SubjectKeyIdentifier.from_public_key(public)
    builder = x509.CertificateBuilder(_SUBJECT, _SUBJECT, public, x509.random_serial_number(), now - _EARLIER, now + _LIFE)
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (_usage(), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (subject_key, False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key), False),
        (x509.SubjectAlternativeName([_alternative(name) for name in names]), False),
    ):
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Identity(private.decode(), certificate.public_bytes(Encoding.PEM).decode())


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

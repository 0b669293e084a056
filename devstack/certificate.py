"""A certificate for this machine, for a day: where tests and measurements speak TLS, as the cloud does."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devstack.ports import LOOPBACK
from devstack.secrets import write_private


@dataclass(frozen=True, slots=True)
class Tls:
    """Files to speak TLS with: a certificate and its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, *, name: str = "") -> Tls:
    """A self-signed certificate and its key; clients that trust the certificate trust the server.

    :param name: host name that it is for; "" = loopback.
    """
    subject = x509.DNSName(name) if name else x509.IPAddress(ipaddress.ip_address(LOOPBACK))
    key = ec.generate_private_key(ec.SECP256R1())
    # A client finds a trusted certificate by its name. If two had the same name, it could find the wrong one. So the
    # name has the serial number.
    serial = x509.random_serial_number()
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{LOOPBACK} {serial:x}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "certificate.pem", folder / "key.pem")
    tls.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    write_private(
        tls.key,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return tls

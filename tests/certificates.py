"""Authorities and certificates, made by the openssl command in the test that needs them."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of it, as openssl's `-fingerprint` writes it but for the colons."""
        return sha256(ssl.PEM_cert_to_DER_cert(self.certificate.read_text())).hexdigest()


class Authority:
    """Signs certificates; `certificate` is what those who trust it need."""

    def __init__(self, openssl: Path, folder: Path, name: str) -> None:
        self._openssl = openssl
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.crt"
        self._key = folder / f"{name}.key"
        self._run(
            *("req", "-x509", *_EC, "-days", "2", "-subj", f"/CN={name}"),
            *("-out", self.certificate, "-keyout", self._key),
        )

    def issue(self, name: str, *, alternative: str = "", days: int = 2) -> Issued:
        """A certificate with this common name; alternative names as `DNS:x,IP:127.0.0.1`."""
        issued = Issued(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        asked, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "")
        self._run("req", *_EC, "-subj", f"/CN={name}", "-out", asked, "-keyout", issued.key)
        self._run(
            *("x509", "-req", "-in", asked, "-CA", self.certificate, "-CAkey", self._key),
            *("-days", str(days), "-extfile", extensions, "-out", issued.certificate),
        )
        return issued

    def revoke(self, issued: Issued) -> Path:
        """A list of revoked certificates with this one on it."""
        index, settings = self._folder / "index.txt", self._folder / "ca.cnf"
        revoked = self._folder / f"{self._name}.crl"
        index.touch()
        settings.write_text(
            f"[ca]\ndefault_ca=this\n[this]\ndatabase={index}\ndefault_md=sha256\n"
            f"default_crl_days=2\ncertificate={self.certificate}\nprivate_key={self._key}\n"
        )
        self._run("ca", "-config", settings, "-revoke", issued.certificate)
        self._run("ca", "-config", settings, "-gencrl", "-out", revoked)
        return revoked

    def _run(self, *arguments: str | Path) -> None:
        subprocess.run([self._openssl, *arguments], check=True, capture_output=True, timeout=60)

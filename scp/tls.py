"""TLS as a transformation of bytes, and the files that it is made of.

Promises: nothing older than TLS 1.2 and no suite but those that BCP 195 recommends; a peer that
must prove itself and cannot is not spoken to; files are read again without a connection being
dropped. No socket is touched here: the wire carries the bytes, so that all its deadlines and
bounds hold for TLS as they do without.

Source: PS3.15 B.12 (BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile); RFC 9325.
"""

from __future__ import annotations

import contextlib
import ssl
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

from scp.errors import ConnectionLost, Distrusted, KeyFileError
from scp.routes import Certificate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scp.settings import ClientTls, Destination, ServerTls

# RFC 9325 4.2: ECDHE with AES in GCM for TLS 1.2, keys of 112 bits of security or more; the
# suites of TLS 1.3 are all good enough.
_SUITES: Final = "ECDHE+AESGCM:@SECLEVEL=2"
_NAMES: Final = frozenset({"DNS", "IP Address", "URI", "email"})


class Channel:
    """One end of a TLS connection: what is read and written, against what TCP carries.

    After every call `outgoing` may have bytes that must be sent.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """Begin.

        Args:
            context: of the side that this is.
            server_name: whose certificate is expected; None for the accepting side.
        """
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_name is None,
            server_hostname=server_name,
        )

    @property
    def version(self) -> str:
        """Which TLS is spoken: `TLSv1.2` or `TLSv1.3`; empty before the handshake is over."""
        return self._tls.version() or ""

    @property
    def certificate(self) -> Certificate | None:
        """What the peer has proved to be; None if nothing was asked of it."""
        encoded = self._tls.getpeercert(binary_form=True)
        if encoded is None:
            return None
        return Certificate(sha256(encoded).hexdigest(), frozenset(_names(self._tls)))

    def handshake(self) -> bool:
        """Go on with the handshake; whether it is over.

        Raises:
            Distrusted: the peer cannot prove itself.
            ConnectionLost: the two sides do not agree.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise _lost(error) from None
        return True

    def feed(self, received: memoryview) -> None:
        """Take what TCP has brought."""
        self._incoming.write(received)

    def outgoing(self) -> bytes:
        """Give what TCP is to carry."""
        return self._outgoing.read()

    def read_into(self, target: memoryview) -> int | None:
        """Read; 0 when the peer has closed, None when more must be fed first.

        Raises:
            ConnectionLost: what came was not sent by the peer, or not so.
        """
        try:
            # With a buffer it is a number that comes back.
            return cast("int", self._tls.read(len(target), target))
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError as error:
            raise _lost(error) from None

    def write(self, data: memoryview) -> None:
        """Write all of it.

        Raises:
            ConnectionLost: the connection cannot be written to any more.
        """
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise _lost(error) from None

    def close(self) -> None:
        """Say that nothing more is written."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()


class Acceptor:
    """The side that is called: proves itself and, if told so, asks the caller to."""

    def __init__(self, files: ServerTls) -> None:
        """Read the files.

        Raises:
            KeyFileError: they cannot be used.
        """
        self._files = files
        self._context = _accepting(files)

    @property
    def context(self) -> ssl.SSLContext:
        """For a server that takes one context for good: what was read last counts here too."""

        def renew(tls: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
            tls.context = self._context

        context = _accepting(self._files)
        context.sni_callback = renew  # called without a name too
        return context

    def reload(self) -> None:
        """Read the files again; connections that are open go on as they are.

        Raises:
            KeyFileError: they cannot be used; what was read before still counts.
        """
        self._context = _accepting(self._files)

    def channel(self) -> Channel:
        """The near end of a new connection."""
        return Channel(self._context, None)


def requestor(destination: Destination, *, check: bool = False) -> Requestor | None:
    """How a destination is called; None in the clear.

    Args:
        destination: as configured.
        check: read its files now, to see whether they can be used.

    Raises:
        KeyFileError: they cannot.
    """
    if destination.tls is None:
        return None
    found = Requestor(destination.tls, destination.host)
    if check:
        found.channel()
    return found


class Requestor:
    """The side that calls: verifies whom it calls, by authority and name.

    The files are read for every connection, so that new ones count at once.
    """

    def __init__(self, files: ClientTls, host: str) -> None:
        """Prepare.

        Args:
            files: of the destination.
            host: the name or address it is called by.
        """
        self._files = files
        self._name = files.server_name or host

    def channel(self) -> Channel:
        """The near end of a new connection.

        Raises:
            KeyFileError: the files cannot be used.
        """
        return Channel(_requesting(self._files), self._name)


def _accepting(files: ServerTls) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    # A session that could be resumed would outlive the certificates that made it.
    context.num_tickets = 0
    _prove(context, files.certificate, files.key)
    if files.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, files.client_ca)
    return context


def _requesting(files: ClientTls) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if files.certificate and files.key:
        _prove(context, files.certificate, files.key)
    if files.ca:
        _trust(context, files.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.options |= (
        ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_RENEGOTIATION
        | ssl.OP_NO_TICKET
        | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    return context


def _prove(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        # Without a password of ours OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError):
        said = f"this and {key} are no certificate and key in PEM that belong together"
        raise KeyFileError(certificate, said) from None


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    """Trust what a file holds: authorities, or single certificates of peers; and its CRLs."""
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError):
        raise KeyFileError(authorities, "this holds no certificates in PEM") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if context.cert_store_stats()["crl"]:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _names(tls: ssl.SSLObject) -> list[str]:
    """Alternative names of a certificate, or its common names if it has none (RFC 6125 6.4.4)."""
    found = cast("Mapping[str, Any]", tls.getpeercert() or {})
    alternative = found.get("subjectAltName", ())
    if alternative:
        return [str(name).lower() for kind, name in alternative if kind in _NAMES]
    subject = (pair for pairs in found.get("subject", ()) for pair in pairs)
    return [str(name).lower() for kind, name in subject if kind == "commonName"]


def _lost(error: ssl.SSLError) -> ConnectionLost:
    """The reason in OpenSSL's fixed words; nothing that the peer has said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Distrusted(f"TLS: {error.verify_message}")
    reason = (error.reason or "the connection broke").lower().replace("_", " ")
    return ConnectionLost(f"TLS: {reason}")

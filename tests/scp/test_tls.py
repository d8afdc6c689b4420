"""TLS as a transformation of bytes: what is agreed on, who is trusted, and what files may say."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.errors import ConnectionLost, KeyFileError
from scp.routes import Certificate
from scp.settings import ClientTls, Destination, ServerTls
from scp.tls import Acceptor, Channel, Requestor, requestor
from tests.certificates import Authority, Issued

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCAL = "DNS:localhost,IP:127.0.0.1"


@pytest.fixture(scope="module")
def authority(peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the tests trust."""
    return Authority(peer("openssl"), tmp_path_factory.mktemp("tls"), "hospital")


@pytest.fixture(scope="module")
def stranger(peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom they do not."""
    return Authority(peer("openssl"), tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Issued:
    """The node."""
    return authority.issue("node", alternative=LOCAL)


@pytest.fixture(scope="module")
def client(authority: Authority) -> Issued:
    """A scanner."""
    return authority.issue("CT1", alternative="DNS:CT1.example,URI:urn:ct1")


def mutual(authority: Authority, server: Issued) -> Acceptor:
    """The node's side, which asks callers to prove themselves."""
    return Acceptor(ServerTls(server.certificate, server.key, authority.certificate))


def calling(authority: Authority, own: Issued | None = None, name: str = "") -> Requestor:
    """The other side."""
    certificate, key = (own.certificate, own.key) if own else (None, None)
    return Requestor(ClientTls(authority.certificate, certificate, key, name), "localhost")


def carry(source: Channel, target: Channel, cut: int = 1 << 20) -> bool:
    """What TCP does, in pieces; whether there was anything."""
    data = source.outgoing()
    for begin in range(0, len(data), cut):
        target.feed(memoryview(data[begin : begin + cut]))
    return bool(data)


def shaken(near: Channel, far: Channel, cut: int = 1 << 20) -> None:
    """Shake hands to the end, whatever the end is."""
    done = [False, False]
    while not all(done):
        for number, (one, other) in enumerate(((far, near), (near, far))):
            done[number] = done[number] or one.handshake()
            carry(one, other, cut)


def heard(channel: Channel) -> bytes:
    """All that can be read now."""
    target, found = memoryview(bytearray(1000)), b""
    while count := channel.read_into(target):
        found += target[:count]
    return found


def test_both_sides_prove_themselves(authority, server, client) -> None:
    """The acceptor learns fingerprint and names, in lower case; the older version is not used."""
    near, far = mutual(authority, server).channel(), calling(authority, client).channel()
    shaken(near, far)

    assert near.certificate == Certificate(
        client.fingerprint, frozenset({"ct1.example", "urn:ct1"})
    )
    assert far.certificate is not None
    assert far.certificate.fingerprint == server.fingerprint
    assert near.version == far.version == "TLSv1.3"


def test_a_common_name_counts_only_without_alternative_names(authority, server) -> None:
    """RFC 6125: an authority that checks alternative names may let anything pass as CN."""
    plain = authority.issue("CT2")
    near, far = mutual(authority, server).channel(), calling(authority, plain).channel()
    shaken(near, far)

    assert near.certificate is not None
    assert near.certificate.names == {"ct2"}


def test_nothing_is_asked_of_a_caller_unless_it_is_configured(authority, server) -> None:
    """Then it has proved nothing."""
    acceptor = Acceptor(ServerTls(server.certificate, server.key))
    near, far = acceptor.channel(), calling(authority).channel()
    shaken(near, far)

    assert near.certificate is None


@pytest.mark.parametrize("case", ["none", "another authority", "expired", "revoked"])
def test_a_caller_that_cannot_prove_itself_is_not_spoken_to(
    authority, stranger, server, tmp_path, case
) -> None:
    """The reason is in fixed words, and the caller is sent an alert."""
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    own, words = {
        "none": lambda: (None, "peer did not return a certificate"),
        "another authority": lambda: (stranger.issue("CT1"), "unable to get local issuer"),
        "expired": lambda: (authority.issue("OLD", days=-1), "certificate has expired"),
        "revoked": lambda: (authority.issue("LOST"), "certificate revoked"),
    }[case]()
    if case == "revoked":
        trusted.write_bytes(trusted.read_bytes() + authority.revoke(own).read_bytes())
    near = Acceptor(ServerTls(server.certificate, server.key, trusted)).channel()
    far = calling(authority, own).channel()

    with pytest.raises(ConnectionLost, match=words):
        shaken(near, far)
    assert carry(near, far)
    with pytest.raises(ConnectionLost, match="alert"):
        heard(far)


@pytest.mark.parametrize("case", ["another authority", "expired", "another name"])
def test_a_destination_that_cannot_prove_itself_is_not_spoken_to(
    authority, stranger, case
) -> None:
    """By whom it is signed, until when, and for which name."""
    issued, words = {
        "another authority": lambda: (
            stranger.issue("one", alternative=LOCAL),
            "unable to get local issuer",
        ),
        "expired": lambda: (authority.issue("two", alternative=LOCAL, days=-1), "has expired"),
        "another name": lambda: (authority.issue("three", alternative="DNS:other"), "localhost"),
    }[case]()
    near = Acceptor(ServerTls(issued.certificate, issued.key)).channel()

    with pytest.raises(ConnectionLost, match=words):
        shaken(near, calling(authority).channel())


def test_a_destination_may_have_a_name_of_its_own(authority) -> None:
    """It is called by its address, and known by its name."""
    issued = authority.issue("four", alternative="DNS:pacs.example")
    near = Acceptor(ServerTls(issued.certificate, issued.key)).channel()
    far = calling(authority, name="pacs.example").channel()
    shaken(near, far)

    assert far.version


def test_a_single_certificate_may_be_trusted_without_its_authority(
    stranger, authority, server
) -> None:
    """A scanner's vendor need not become an authority of the hospital."""
    own = stranger.issue("CT9")
    acceptor = Acceptor(ServerTls(server.certificate, server.key, own.certificate))
    near, far = acceptor.channel(), calling(authority, own).channel()
    shaken(near, far)
    assert near.certificate is not None

    other = calling(authority, stranger.issue("CT8")).channel()
    with pytest.raises(ConnectionLost):
        shaken(acceptor.channel(), other)


@pytest.mark.parametrize(
    ("lowest", "suites"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256:AES256-SHA256"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"),
        (ssl.TLSVersion.TLSv1_2, "aNULL:eNULL:@SECLEVEL=0"),
    ],
    ids=["TLS 1.1", "no forward secrecy", "CBC", "no certificate"],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_what_bcp_195_does_not_recommend_is_not_spoken(server, lowest, suites) -> None:
    """RFC 9325 3.1.1 and 4.2."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers(suites)
    old.minimum_version = old.maximum_version = lowest
    near = Acceptor(ServerTls(server.certificate, server.key)).channel()

    with pytest.raises(ConnectionLost):
        shaken(near, Channel(old, "localhost"))


@given(
    data=st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=4),
    cut=st.integers(1, 9000),
)
def test_what_is_written_is_read_however_tcp_cuts_it(data, cut) -> None:
    """In both directions, over one handshake for all."""
    near, far = PAIR
    for one, other in ((near, far), (far, near)):
        for each in data:
            one.write(memoryview(each))
        carry(one, other, cut)
        assert heard(other) == b"".join(data)


PAIR: list[Channel] = []


@pytest.fixture(scope="module", autouse=True)
def _pair(authority, server, client) -> None:
    PAIR[:] = mutual(authority, server).channel(), calling(authority, client).channel()
    shaken(*PAIR)


def test_a_close_is_heard_and_damage_is_no_data(authority, server, client) -> None:
    """Zero is the end; a record that was touched on its way ends the connection."""
    near, far = mutual(authority, server).channel(), calling(authority, client).channel()
    shaken(near, far)
    far.close()
    carry(far, near)
    assert near.read_into(memoryview(bytearray(10))) == 0

    near, far = mutual(authority, server).channel(), calling(authority, client).channel()
    shaken(near, far)
    far.write(memoryview(b"some data"))
    sent = bytearray(far.outgoing())
    sent[-1] ^= 1
    near.feed(memoryview(sent))
    with pytest.raises(ConnectionLost, match="bad record mac"):
        heard(near)


def test_new_files_count_for_new_connections_only(authority, client, tmp_path) -> None:
    """And files that cannot be used change nothing."""
    files = ServerTls(tmp_path / "node.crt", tmp_path / "node.key", authority.certificate)
    first, second = (authority.issue(name, alternative=LOCAL) for name in ("first", "second"))

    def install(certificate: Issued, key: Issued) -> None:
        files.certificate.write_bytes(certificate.certificate.read_bytes())
        files.key.write_bytes(key.key.read_bytes())

    install(first, first)
    acceptor = Acceptor(files)
    open_near, open_far = acceptor.channel(), calling(authority, client).channel()
    shaken(open_near, open_far)

    install(second, first)
    with pytest.raises(KeyFileError, match="belong together"):
        acceptor.reload()
    assert shown(acceptor, authority, client) == first.fingerprint

    install(second, second)
    acceptor.reload()
    assert shown(acceptor, authority, client) == second.fingerprint
    open_far.write(memoryview(b"still here"))
    carry(open_far, open_near)
    assert heard(open_near) == b"still here"


def shown(acceptor: Acceptor, authority: Authority, client: Issued) -> str:
    """The fingerprint that a caller sees."""
    near, far = acceptor.channel(), calling(authority, client).channel()
    shaken(near, far)
    assert far.certificate is not None
    return far.certificate.fingerprint


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_context_that_was_given_away_follows_a_reload(authority, tmp_path, name) -> None:
    """Also for a caller that names no server, as one that calls an address does not."""
    files = ServerTls(tmp_path / "node.crt", tmp_path / "node.key")
    first, second = (authority.issue(each, alternative=LOCAL) for each in ("fifth", "sixth"))
    files.certificate.write_bytes(first.certificate.read_bytes())
    files.key.write_bytes(first.key.read_bytes())
    acceptor = Acceptor(files)
    context = acceptor.context
    files.certificate.write_bytes(second.certificate.read_bytes())
    files.key.write_bytes(second.key.read_bytes())
    acceptor.reload()
    trusting = ssl.create_default_context(cafile=authority.certificate)
    near, far = Channel(context, None), Channel(trusting, name)
    shaken(near, far)

    assert far.certificate is not None
    assert far.certificate.fingerprint == second.fingerprint


def test_files_that_cannot_be_used_are_named(authority, server, tmp_path) -> None:
    """Certificate and key that are two, a key with a password, and no authority."""
    locked = tmp_path / "locked.key"
    authority._run("pkey", "-in", server.key, "-aes256", "-passout", "pass:x", "-out", locked)
    other = authority.issue("other")
    for key in (locked, other.key, tmp_path / "absent.key", server.certificate):
        with pytest.raises(KeyFileError, match=r"node\.crt: .* in PEM that belong together"):
            Acceptor(ServerTls(server.certificate, key))
    with pytest.raises(KeyFileError, match=r"node\.key: this holds no certificates"):
        Acceptor(ServerTls(server.certificate, server.key, server.key))


def test_a_destination_s_files_are_looked_at_when_asked(tmp_path) -> None:
    """At the start of the node, not at the first delivery."""
    tls = ClientTls(tmp_path / "absent.pem", None, None, "")
    pacs = Destination("pacs", "P", "localhost", 1, "ME", 1.0, 1.0, 1.0, 1.0, tls)
    assert requestor(pacs) is not None
    with pytest.raises(KeyFileError, match=r"absent\.pem"):
        requestor(pacs, check=True)

    plain = Destination("pacs", "P", "localhost", 1, "ME", 1.0, 1.0, 1.0, 1.0)
    assert requestor(plain, check=True) is None


def test_without_a_word_of_authorities_those_of_the_system_count() -> None:
    """As every other program on the machine."""
    assert Requestor(ClientTls(None, None, None, ""), "localhost").channel()

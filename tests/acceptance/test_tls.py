"""DICOM over TLS on the running node: who is let in, by which tools, and what a reload does."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
from pynetdicom import AE

from tests.acceptance.managed import ManagedNode
from tests.acceptance.peers import SUCCESS
from tests.certificates import Authority, Issued
from tests.scp.raw_peer import (
    AC,
    IMPLICIT,
    RJ,
    VERIFICATION,
    RawPeer,
    context,
    request,
)
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIG = """
version: 1
node:
  ae_title: ANONODE
  listen: 127.0.0.1:0
  max_associations_per_address: 64
  tls_listen: 127.0.0.1:0
  tls_certificate: ../node.crt
  tls_key: ../node.key
  tls_client_ca: ../trusted.pem
rest: {{listen: "127.0.0.1:0", tls_certificate: ../node.crt, tls_key: ../node.key}}
destinations:
  true-pacs: {{ae_title: PACS, host: 127.0.0.1, port: {true}, tls: true, tls_ca: ../ca.crt,
    tls_certificate: ../node.crt, tls_key: ../node.key, tls_server_name: pacs.example,
    retry_base_s: 1}}
  impostor: {{ae_title: PACS, host: 127.0.0.1, port: {false}, tls: true, tls_ca: ../ca.crt,
    retry_base_s: 1, retry_cap_s: 1}}
routes:
  - {{from: CT1, peer: 127.0.0.1, certificate: ct1.example, profile: basic}}
  - {{from: CT2, peer: 127.0.0.2, certificate: "{fingerprint}", profile: basic}}
  - {{from: CT3, peer: 127.0.0.3, certificate: "{colons}", profile: basic}}
  - {{from: SENDS, certificate: ct1.example, profile: basic, forward: [true-pacs, impostor]}}
  - {{from: PLAIN, profile: basic}}
"""
PATIENCE_S = 30.0
SILENT = size(ci=32, nightly=60)


@dataclass
class Site:
    """A node, those whom it trusts and those whom it does not.

    Attributes:
        certificates: By name: `CT1`, `CT2` and `CT3` are good ones; `expired`, `revoked` and
            `stranger` are not.
    """

    node: ManagedNode
    authority: Authority
    certificates: dict[str, Issued]
    pacs: Path
    impostor: Path

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.node.tls_port

    def context(self, name: str) -> ssl.SSLContext:
        """A peer that proves itself by this certificate."""
        trusting = ssl.create_default_context(cafile=self.authority.certificate)
        own = self.certificates[name]
        trusting.load_cert_chain(own.certificate, own.key)
        return trusting

    def said(self) -> list[dict[str, object]]:
        """Every line of the node's log."""
        return [json.loads(line) for line in self.node.output.read_text().splitlines()]


@pytest.fixture(scope="module")
def site(peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node over TLS and two destinations, one of which only says that it is one."""
    folder = tmp_path_factory.mktemp("site")
    authority = Authority(peer("openssl"), folder, "ca")
    (folder / "far").mkdir()
    stranger = Authority(peer("openssl"), folder / "far", "stranger")
    local = "DNS:localhost,IP:127.0.0.1"
    authority.issue("node", alternative=local)
    certificates = {
        **{name: authority.issue(name, alternative=f"DNS:{name}.example") for name in NAMES},
        "expired": authority.issue("expired", alternative="DNS:ct1.example", days=-1),
        "revoked": authority.issue("revoked", alternative="DNS:ct1.example"),
        "stranger": stranger.issue("CT1", alternative="DNS:ct1.example"),
    }
    revoked = authority.revoke(certificates["revoked"])
    trusted = authority.certificate.read_bytes() + revoked.read_bytes()
    (folder / "trusted.pem").write_bytes(trusted)
    with (
        archive(
            peer("storescp"),
            folder / "pacs",
            authority.issue("pacs", alternative="DNS:pacs.example"),
            "+cf",
            authority.certificate,
        ) as true,
        archive(
            peer("storescp"), folder / "impostor", stranger.issue("pacs", alternative=local), "-ic"
        ) as false,
    ):
        fingerprint = certificates["CT3"].fingerprint.upper()
        config = CONFIG.format(
            true=true,
            false=false,
            fingerprint=certificates["CT2"].fingerprint,
            colons=":".join(fingerprint[place : place + 2] for place in range(0, 64, 2)),
        )
        with ManagedNode(folder / "site", config) as node:
            yield Site(node, authority, certificates, folder / "pacs", folder / "impostor")


@contextmanager
def archive(storescp: Path, folder: Path, own: Issued, *options: str | Path) -> Iterator[int]:
    """DCMTK's archive over TLS; its port."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [storescp, "+tls", own.key, own.certificate, *options, "-od", folder, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


pytestmark = pytest.mark.slow
NAMES = ("CT1", "CT2", "CT3")
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


def test_title_address_and_certificate_must_belong_together(site: Site, figures) -> None:
    """T-BIND: of 27 triples the three right ones are accepted, all others are rejected 1/1/3."""
    answers = {
        triple: _answer(site, *triple) for triple in itertools.product(NAMES, ADDRESSES, NAMES)
    }

    accepted = [triple for triple, answer in answers.items() if answer == (AC,)]
    assert accepted == list(zip(NAMES, ADDRESSES, NAMES, strict=True))
    rejected = [answer for answer in answers.values() if answer == (RJ, 1, 1, 3)]
    assert len(rejected) == 24
    figures("T-BIND", triples=len(answers), accepted=len(accepted), rejected=len(rejected))


def _answer(site: Site, calling: str, address: str, certificate: str) -> tuple[int, ...]:
    """The type of the PDU that answers a request; of a rejection its numbers too."""
    tls = site.context(certificate)
    with RawPeer(site.address, tls=tls, source=address) as raw:
        raw.send(request(calling=calling.encode()))
        kind, body = raw.read_pdu()
        return (kind, *body[1:]) if kind == RJ else (kind,)


def test_a_certificate_is_of_no_use_in_the_clear_and_none_is_of_no_use_anywhere(
    site: Site,
) -> None:
    """The right title from the right address is not enough."""
    with RawPeer(("127.0.0.1", site.node.port)) as raw:
        raw.send(request(calling=b"CT1"))
        kind, body = raw.read_pdu()
    assert (kind, *body[1:]) == (RJ, 1, 1, 3)
    with RawPeer(("127.0.0.1", site.node.port)) as raw:
        raw.associate(calling=b"PLAIN")
        raw.release()


GOOD = "CT1"
CASES = {
    "TLS 1.0": ("-tls1", "ALL:@SECLEVEL=0", GOOD),
    "TLS 1.1": ("-tls1_1", "ALL:@SECLEVEL=0", GOOD),
    "no encryption": ("-tls1_2", "eNULL:@SECLEVEL=0", GOOD),
    "RSA key exchange": ("-tls1_2", "kRSA", GOOD),
    "CBC": ("-tls1_2", "ECDHE-ECDSA-AES256-SHA384", GOOD),
    "no certificate, 1.2": ("-tls1_2", "", ""),
    "no certificate, 1.3": ("-tls1_3", "", ""),
    "another authority, 1.2": ("-tls1_2", "", "stranger"),
    "another authority, 1.3": ("-tls1_3", "", "stranger"),
    "expired, 1.2": ("-tls1_2", "", "expired"),
    "expired, 1.3": ("-tls1_3", "", "expired"),
    "revoked": ("-tls1_3", "", "revoked"),
}


def test_openssl_gets_in_by_what_is_good_and_by_nothing_else(
    site: Site, peer: Callable[[str], Path], figures
) -> None:
    """T-TLS: old versions, weak suites and certificates that prove nothing are refused."""
    refused = {name: not _gets_in(site, peer("openssl"), *case) for name, case in CASES.items()}
    accepted = [
        _gets_in(site, peer("openssl"), *case)
        for case in (("-tls1_2", "", GOOD), ("-tls1_3", "", GOOD))
    ]

    assert refused == dict.fromkeys(CASES, True)
    assert accepted == [True, True]
    causes = {str(line["cause"]) for line in site.said() if line["event"] == "association lost"}
    assert {
        "TLS: unsupported protocol",
        "TLS: no shared cipher",
        "TLS: peer did not return a certificate",
        "TLS: certificate has expired",
        "TLS: certificate revoked",
    } <= causes
    figures("T-TLS", bad=len(CASES), refused=sum(refused.values()), good=2, accepted=sum(accepted))


def _gets_in(site: Site, openssl: Path, version: str, suites: str, name: str) -> bool:
    """Whether `openssl s_client` carries a request for an association to its answer."""
    command = [openssl, "s_client", "-connect", f"127.0.0.1:{site.node.tls_port}", version]
    command += ["-quiet", "-CAfile", site.authority.certificate]
    if suites:
        command += ["-cipher", suites]
    if name:
        own = site.certificates[name]
        command += ["-cert", own.certificate, "-key", own.key]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        try:
            client.stdin.write(request(calling=GOOD.encode()))
            client.stdin.flush()
            return client.stdout.read(1) == bytes([AC])
        except BrokenPipeError:
            return False
        finally:
            client.kill()


def test_dcmtk_stores_over_tls_with_its_own_profiles(
    site: Site, peer: Callable[[str], Path], packaged: Callable[[str], Path]
) -> None:
    """BCP 195, non-downgrading and extended; not the retired one."""
    assert [_storescu(site, peer, packaged, GOOD, one) for one in ("+py", "+px", "+pz")] == [0] * 3
    assert _storescu(site, peer, packaged, GOOD, "+pa")
    assert _storescu(site, peer, packaged, "expired")
    assert _storescu(site, peer, packaged, "CT2")
    listed = site.node.run("list", "--modality", "CT").stdout
    assert len(listed.splitlines()) == 2, listed


def _storescu(
    site: Site,
    peer: Callable[[str], Path],
    packaged: Callable[[str], Path],
    name: str,
    profile: str = "+py",
) -> int:
    """What DCMTK's storescu exits with."""
    own = site.certificates[name]
    command = [peer("storescu"), "+tls", own.key, own.certificate, profile]
    command += ["+cf", site.authority.certificate, "-aet", "CT1", "-aec", "ANONODE"]
    command += ["127.0.0.1", str(site.node.tls_port), packaged("CT_small.dcm")]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode


def test_pynetdicom_stores_over_tls(site: Site, packaged: Callable[[str], Path]) -> None:
    """An instance of many records, through another implementation of the upper layer."""
    dataset = pydicom.dcmread(packaged("MR_small.dcm"))
    dataset.Rows, dataset.Columns = 1024, 1024
    dataset.PixelData = bytes(range(256)) * (2 * 1024 * 1024 // 256)
    entity = AE("CT1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE_S
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate(
        *site.address, ae_title="ANONODE", tls_args=(site.context("CT1"), "localhost")
    )
    assert association.is_established
    status = association.send_c_store(dataset).Status
    association.release()

    assert status == SUCCESS


def test_a_destination_must_prove_itself_before_it_gets_anything(
    site: Site, packaged: Callable[[str], Path]
) -> None:
    """The true one has it, the impostor has not seen a byte, and what it is owed waits."""
    source = pydicom.dcmread(packaged("MR_small.dcm"))
    source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    entity = AE("SENDS")
    entity.add_requested_context(source.SOPClassUID, source.file_meta.TransferSyntaxUID)
    association = entity.associate(
        *site.address, ae_title="ANONODE", tls_args=(site.context("CT1"), "localhost")
    )
    assert association.send_c_store(source).Status == SUCCESS
    association.release()

    assert _until(lambda: list(site.pacs.iterdir()))
    assert _until(lambda: "unable to get local issuer" in site.node.run("queue").stdout)
    assert list(site.impostor.iterdir()) == []


def _until(seen: Callable[[], object]) -> bool:
    """Whether it is seen in time."""
    ends_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at:
        if seen():
            return True
        time.sleep(0.05)
    return False


def test_silent_handshakes_delay_no_sender(site: Site, figures) -> None:
    """T-HANDSHAKE: an echo beside them takes under a second, and they are ended."""
    threads = _threads(site)
    silent = [
        socket.create_connection(site.address, source_address=("127.0.0.2", 0))
        for _ in range(SILENT)
    ]
    begun, slowest_s, echoes = time.monotonic(), 0.0, 0
    while time.monotonic() - begun < 3.0:
        since = time.monotonic()
        _echo(site)
        slowest_s = max(slowest_s, time.monotonic() - since)
        echoes += 1
    for one in silent:
        one.settimeout(PATIENCE_S)
        assert one.recv(1) == b""
        one.close()
    ended_s = time.monotonic() - begun

    assert slowest_s < 1.0
    assert ended_s < 10.0
    assert _until(lambda: _threads(site) <= threads)
    figures(
        "T-HANDSHAKE",
        silent=SILENT,
        echoes=echoes,
        slowest_echo_s=round(slowest_s, 3),
        all_closed_after_s=round(ended_s, 1),
    )


def _echo(site: Site) -> None:
    with RawPeer(site.address, tls=site.context("CT1")) as raw:
        raw.associate(context(1, VERIFICATION, IMPLICIT), calling=b"CT1")
        raw.release()


def _threads(site: Site) -> int:
    return len(list((Path("/proc") / str(site.node.process.pid) / "task").iterdir()))


def test_curl_asks_over_tls_and_not_over_an_old_one(
    site: Site, peer: Callable[[str], Path]
) -> None:
    """The REST API proves itself by the same file."""
    url = f"https://localhost:{site.node.rest_port}/system"
    command = [peer("curl"), "-s", "--cacert", site.authority.certificate, url]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    assert json.loads(answer)["Name"]
    old = [*command, "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0"]
    assert subprocess.run(old, check=False, capture_output=True, timeout=60).returncode == 35


def test_a_new_certificate_counts_from_the_next_connection_and_drops_none(site: Site) -> None:
    """Files that do not belong together change nothing; then the new ones count, REST's too."""
    folder = site.node.folder.parent
    first = _shown(site.node.tls_port)
    with RawPeer(site.address, tls=site.context("CT1")) as raw:
        raw.associate(calling=b"CT1")
        new = site.authority.issue("new", alternative="DNS:localhost,IP:127.0.0.1")
        shutil.copy(new.certificate, folder / "node.crt")
        assert "reload refused" in site.node.reload()
        assert _shown(site.node.tls_port) == first

        shutil.copy(new.key, folder / "node.key")
        site.node.reload()
        assert _shown(site.node.tls_port) == new.fingerprint
        assert _shown(site.node.rest_port) == new.fingerprint
        raw.release()
    with RawPeer(site.address, tls=site.context("CT1")) as raw:
        raw.associate(calling=b"CT1")
        raw.release()


def _shown(port: int) -> str:
    """The fingerprint of the certificate that a server shows."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port)) as sock,
        anybody.wrap_socket(sock) as shaken,
    ):
        return sha256(shaken.getpeercert(binary_form=True) or b"").hexdigest()

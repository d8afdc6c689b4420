"""One address that floods the node, and peers whose words would forge its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from scp.sender import SenderAssociation
from tests.acceptance.peers import SUCCESS, associate
from tests.acceptance.running import RunningNode
from tests.scp.raw_peer import RJ, RawPeer, request
from tests.scp.raw_peer import store as message
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = """
version: 1
node: {ae_title: ANONODE, listen: "127.0.0.1:0"}
routes: [{from: CT1, profile: basic}]
"""
FLOOD_S = size(ci=3, nightly=30)
LOG_KIB = size(ci=256, nightly=1024)
PER_S = 1000
RECOVERS_S = 10.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
FLOOD = """
import socket, sys, time
from collections import deque
port, lasts_s, per_s = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
said = sys.stdin.buffer.read()
held, count, begun = deque(), 0, time.monotonic()
while (now := time.monotonic()) < begun + lasts_s:
    if count >= (now - begun) * per_s:
        time.sleep(0.001)
        continue
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    held.append((now, one))
    count += 1
    while held and held[0][0] < now - 0.05:
        _, old = held.popleft()
        try:
            old.send(said)
        except OSError:
            pass
        old.close()
print(count)
"""
"""Connects so often, asks for an association under a title that nobody has, and hangs up."""


@pytest.mark.slow
def test_a_flood_from_one_address_costs_neither_the_others_nor_the_log(
    tmp_path: Path, packaged: Callable[[str], Path], figures
) -> None:
    """T-FLOOD: less than a core, less than a mebibyte of log, and another address is served."""
    with RunningNode(tmp_path, CONFIG) as node:
        before_s, log_bytes = _cpu_s(node), node.output.stat().st_size
        begun = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-c", FLOOD, str(node.port), str(FLOOD_S), str(PER_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as flood:
            flood.stdin.write(request(calling=b"NOBODY"))
            flood.stdin.close()
            slowest_s, served = 0.0, 0
            while not _ended(flood, within_s=0.1):
                since = time.monotonic()
                _send(node, served)
                served += 1
                slowest_s = max(slowest_s, time.monotonic() - since)
            connections = int(flood.stdout.read())
        lasted_s = time.monotonic() - begun
        cores = (_cpu_s(node) - before_s) / lasted_s
        log_bytes = node.output.stat().st_size - log_bytes

        assert connections > FLOOD_S * PER_S / 2
        assert cores < 1.0
        assert log_bytes < LOG_KIB * 1024
        assert slowest_s < 2.0
        assert served > FLOOD_S
        recovered_s = _recovered(node, packaged("CT_small.dcm"))
    assert recovered_s < RECOVERS_S
    figures(
        "T-FLOOD",
        connections=connections,
        per_second=round(connections / lasted_s),
        cores=round(cores, 2),
        log_kib=round(log_bytes / 1024),
        associations_of_another_address=served,
        slowest_s=round(slowest_s, 2),
        flooder_served_after_s=round(recovered_s, 1),
    )


def _recovered(node: RunningNode, source: Path) -> float:
    """How long after its flood the same address may not store."""
    begun, dataset = time.monotonic(), pydicom.dcmread(source)
    while (now := time.monotonic()) < begun + RECOVERS_S:
        association = associate(node.port, dataset)
        if association.is_established:
            assert association.send_c_store(dataset).Status == SUCCESS
            association.release()
            return now - begun
    return RECOVERS_S


def _ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(within_s)
    return process.returncode is not None


def _send(node: RunningNode, number: int) -> None:
    """An association of another address, whose instance is looked at and answered."""
    with RawPeer(("127.0.0.1", node.port), source="127.0.0.2") as raw:
        raw.associate()
        raw.send(message(uid=f"1.2.3.{number}"))
        assert raw.status() == 0xC103  # it is no dataset
        raw.release()


def _cpu_s(node: RunningNode) -> float:
    """The time that all threads of the node have computed."""
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


FORGED = (b"A\r\n{fake", b"\x1b[31mRED", b"B\x00\x07\x9b\xff", b'C\\nD"}')


@pytest.mark.parametrize("title", FORGED)
def test_a_title_that_would_forge_the_log_is_one_line_and_escaped(
    node: RunningNode, title: bytes
) -> None:
    """T13: rejected, and whoever reads the log on a terminal sees plain ASCII."""
    before = len(node.output.read_bytes())
    with RawPeer(("127.0.0.1", node.port)) as raw:
        raw.send(request(calling=title, called=title))
        kind, body = raw.read_pdu()
    assert (kind, tuple(body[1:])) == (RJ, (1, 1, 3))

    said = [line for line in _said_since(node, before) if "calling_ae" in line]
    assert [line["event"] for line in said] == ["association rejected"]
    shown = str(said[0]["calling_ae"])
    assert shown == said[0]["called_ae"]
    assert shown.isascii()
    assert shown.isprintable()


def _said_since(node: RunningNode, before: int) -> list[dict[str, object]]:
    """What the log says from there on: lines of JSON, and no control character between them."""
    written = node.output.read_bytes()[before:]
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in written)
    return [json.loads(line) for line in written.splitlines()]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory):
    """A node that logs to a file."""
    with RunningNode(tmp_path_factory.mktemp("forged"), CONFIG) as running:
        yield running


def test_an_error_comment_that_would_forge_the_log_is_escaped(
    packaged: Callable[[str], Path],
) -> None:
    """T13: what a destination says of a failure is shown, as plain ASCII on one line."""
    forged = "no\r\n{fake \x1b[31m\x9bRED"

    def refuse(_event: evt.Event) -> Dataset:
        answer = Dataset()
        answer.Status = 0xC001
        answer.ErrorComment = forged
        return answer

    instance = pydicom.dcmread(packaged("CT_small.dcm"))
    entity = AE("PACS")
    entity.add_supported_context(instance.SOPClassUID, instance.file_meta.TransferSyntaxUID)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, refuse)]
    )
    contexts = [(str(instance.SOPClassUID), str(instance.file_meta.TransferSyntaxUID))]
    try:
        with SenderAssociation(server.server_address, "ANONODE", "PACS", contexts) as sending:
            assert sending.store(contexts[0][0], "1.2.3", contexts[0][1], [b""]) == 0xC001
            comment = sending.last_comment
    finally:
        server.shutdown()

    assert comment.startswith(r"no\x0d\x0a{fake \x1b[31m")
    assert comment.isascii()
    assert comment.isprintable()

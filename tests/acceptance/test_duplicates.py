"""The same instance again and again, and other content under its UID."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.faulty_peers import QuickArchive, until
from tests.acceptance.running import RunningNode
from tests.encoded import EXPLICIT
from tests.sizes import size

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive}}}
routes:
  - {{from: CT1, profile: basic, forward: [archive]}}
"""
UID = f"{instances.ROOT}.1.1.1"
AT_ONCE = 4
CONFLICT = 0xC105


def dataset(**changes: int) -> bytes:
    """An instance; with other rows it is another one under the same UID."""
    return instances.dataset(instances.ct(**{"rows": 256, "columns": 256, **changes}), EXPLICIT)


def send(port: int, data: bytes, *, times: int) -> list[int]:
    """The statuses of so many sends in one association."""
    contexts = [(instances.CT_IMAGE, EXPLICIT)]
    with SenderAssociation(("127.0.0.1", port), "CT1", "ANONODE", contexts) as association:
        return [association.store(instances.CT_IMAGE, UID, EXPLICIT, [data]) for _ in range(times)]


def send_at_once(port: int, data: bytes, *, times: int) -> list[int]:
    """The same on several associations at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        shares = [pool.submit(send, port, data, times=times) for _ in range(AT_ONCE)]
        return [status for share in shares for status in share.result()]


def files(node: RunningNode) -> list[bytes]:
    """What is stored."""
    return [content for path in node.data.rglob("*.dcm") if (content := path.read_bytes())]


def test_an_instance_that_is_sent_again_is_stored_and_delivered_once(
    tmp_path, deadline_s, figures
):
    """T-DUP: on four associations at once; each of them hears success."""
    times = size(ci=10, nightly=250)
    with (
        QuickArchive() as archive,
        RunningNode(tmp_path, CONFIG.format(archive=archive.port)) as node,
    ):
        statuses = send_at_once(node.port, dataset(), times=times)
        assert until(lambda: archive.received, deadline_s(10))
        statuses += send(node.port, dataset(), times=times)
        stored = files(node)
        queue = node.run("queue").stdout
    [(_, delivered)] = archive.received
    figures(
        "T-DUP",
        sent=len(statuses),
        succeeded=statuses.count(0),
        stored=len(stored),
        delivered=len(archive.received),
    )

    assert set(statuses) == {0}
    assert len(stored) == 1
    assert stored[0].endswith(delivered)
    assert "delivered  1" in queue, queue


def test_other_content_under_a_known_uid_is_refused(tmp_path, deadline_s, figures):
    """T-DUP2: with a status of its own, each time and beside the first; the first stays."""
    times = size(ci=5, nightly=100)
    with (
        QuickArchive() as archive,
        RunningNode(tmp_path, CONFIG.format(archive=archive.port)) as node,
    ):
        assert send(node.port, dataset(), times=1) == [0]
        assert until(lambda: archive.received, deadline_s(10))
        [first] = files(node)
        statuses = send_at_once(node.port, dataset(rows=128), times=times)
        assert send(node.port, dataset(), times=1) == [0]
        stored = files(node)
    figures(
        "T-DUP2",
        sent=len(statuses),
        refused=statuses.count(CONFLICT),
        first_kept=int(stored == [first]),
        delivered=len(archive.received),
    )

    assert set(statuses) == {CONFLICT}
    assert stored == [first]
    assert len(archive.received) == 1

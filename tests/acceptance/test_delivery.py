"""Store and forward on the running node: nothing waits for a destination, nothing is lost."""

from __future__ import annotations

import pydicom
import pytest

from tests.acceptance.peers import SUCCESS, Archive, store
from tests.acceptance.running import RunningNode

FILES = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "JPEG2000.dcm", "liver_1frame.dcm")
CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  research: {{Base: basic, BurnedIn: keep, Replace: {{PatientName: ANON}}}}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {port}, retry_base_s: 1, retry_cap_s: 1}}
routes:
  - {{from: CT1, to: ANONODE, profile: research, forward: [archive]}}
"""


def test_receiving_goes_on_while_a_destination_is_down_and_all_arrives_once_it_is_up(
    tmp_path, packaged, deadline_s
):
    """`anonode queue` shows what waits; after the return each instance arrives exactly once."""
    archive = Archive()
    archive.start()
    archive.stop()
    with RunningNode(tmp_path, CONFIG.format(port=archive.port)) as node:
        for name in FILES:
            assert store(node.port, packaged(name)) == SUCCESS
        waiting = node.run("queue").stdout
        assert f"archive      due    {len(FILES)}" in waiting, waiting

        archive.start()
        assert archive.wait_for(len(FILES), deadline_s(30))
        archive.stop()

    assert len(set(archive.uids())) == len(archive.uids()) == len(FILES)


@pytest.mark.slow
def test_what_arrives_is_in_the_transfer_syntax_it_was_sent_in(tmp_path, packaged, deadline_s):
    """Presentation contexts of the delivery are those of the reception."""
    with (
        Archive() as archive,
        RunningNode(tmp_path, CONFIG.format(port=archive.port)) as node,
    ):
        sent = {str(pydicom.dcmread(packaged(name)).file_meta.TransferSyntaxUID) for name in FILES}
        for name in FILES:
            assert store(node.port, packaged(name)) == SUCCESS
        assert archive.wait_for(len(FILES), deadline_s(30))

    arrived = [pydicom.dcmread(_file(content)) for _, content in archive.received]
    assert {str(each.file_meta.TransferSyntaxUID) for each in arrived} == sent
    assert {str(each.PatientName) for each in arrived} == {"ANON"}


def _file(content):
    return pydicom.filebase.DicomBytesIO(content)


@pytest.mark.slow
def test_a_stop_under_load_loses_nothing_that_was_acknowledged(tmp_path, packaged, deadline_s):
    """SIGTERM drains: all acknowledged instances are there after the next start."""
    with Archive() as archive:
        node = RunningNode(tmp_path, CONFIG.format(port=archive.port))
        node.start()
        for name in FILES:
            assert store(node.port, packaged(name)) == SUCCESS
        assert node.terminate() == 0
        with node:
            assert archive.wait_for(len(FILES), deadline_s(30))
    assert len(set(archive.uids())) == len(FILES)

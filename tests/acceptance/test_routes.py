"""Who may send, and what is done to it: decided by the route, shown on the running node."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest

from scp.errors import PeerRejected
from scp.sender import SenderAssociation
from tests.acceptance.peers import SUCCESS, store
from tests.acceptance.running import RunningNode

CONFIG = """
version: 1
node: {ae_title: ANONODE, listen: "127.0.0.1:0"}
profiles:
  one: {Base: basic, Replace: {PatientName: ONE}}
  two: {Base: basic, Replace: {PatientName: TWO}, Keep: [StudyDate]}
  fails: {Base: basic, Replace: {StudyDate: {regex: "[0-9]", with: x}}}
  rejects: {Base: basic, Reject: [{Modality: CT}]}
routes:
  - {from: CT1, to: ANONODE, profile: one}
  - {from: CT2, to: ANONODE, profile: two}
  - {from: FAR, peer: 10.0.0.0/8, profile: one}
  - {from: FAILS, profile: fails}
  - {from: REJECTS, profile: rejects}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node with a route for each case."""
    with RunningNode(tmp_path_factory.mktemp("routes"), CONFIG) as running:
        yield running


def stored(node):
    """The datasets on disk."""
    files = sorted((node.data / "instances").rglob("*.dcm"))
    return [pydicom.dcmread(BytesIO(content)) for file in files if (content := file.read_bytes())]


def test_two_calling_ae_titles_get_the_results_of_their_own_profiles(node, packaged):
    """The same file, sent under two titles, is stored twice, by two sets of rules."""
    for calling in ("CT1", "CT2"):
        assert store(node.port, packaged("CT_small.dcm"), calling=calling) == SUCCESS

    by_name = {str(each.PatientName): each for each in stored(node)}
    assert set(by_name) == {"ONE", "TWO"}
    assert by_name["ONE"].StudyDate == ""
    assert by_name["TWO"].StudyDate == "20040119"
    assert by_name["ONE"].SOPInstanceUID != by_name["TWO"].SOPInstanceUID


@pytest.mark.parametrize(
    ("calling", "called", "source", "reason"),
    [
        pytest.param("NOBODY", "ANONODE", 1, 3, id="unknown calling AE title"),
        pytest.param("CT1", "OTHER", 1, 7, id="wrong called AE title"),
        pytest.param("FAR", "ANONODE", 1, 3, id="address that may not use the title"),
    ],
)
def test_an_association_without_a_route_is_rejected_with_its_reason(
    node, packaged, calling, called, source, reason
):
    """The peer hears why: result, source and reason of PS3.8 Table 9-21."""
    dataset = pydicom.dcmread(packaged("CT_small.dcm"))
    contexts = [(str(dataset.SOPClassUID), str(dataset.file_meta.TransferSyntaxUID))]
    association = SenderAssociation(("127.0.0.1", node.port), calling, called, contexts)

    with pytest.raises(PeerRejected) as rejection:
        association.connect()

    answer = rejection.value
    assert (answer.result, answer.source, answer.reason) == (1, source, reason)


@pytest.mark.parametrize(
    ("calling", "status"),
    [
        pytest.param("FAILS", 0xC102, id="a rule that raises"),
        pytest.param("REJECTS", 0xC101, id="a Reject rule"),
    ],
)
def test_a_refused_instance_leaves_nothing_on_disk(node, packaged, calling, status):
    """The sender gets a failure, and no byte of the instance is kept."""
    before = {path: path.stat().st_size for path in (node.data / "instances").rglob("*.dcm")}

    assert store(node.port, packaged("CT_small.dcm"), calling=calling) == status

    after = {path: path.stat().st_size for path in (node.data / "instances").rglob("*.dcm")}
    assert {path: size for path, size in after.items() if size} == {
        path: size for path, size in before.items() if size
    }


def test_the_same_instance_again_is_a_success_without_a_second_copy(node, packaged):
    """A resend is answered 0x0000, and the journal holds it once."""
    for _ in range(3):
        assert store(node.port, packaged("MR_small.dcm"), calling="CT1") == SUCCESS

    listed = node.run("list", "--modality", "MR").stdout
    assert len(listed.strip().splitlines()) == 2, listed

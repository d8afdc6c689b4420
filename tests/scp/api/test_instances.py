"""Instances in and out over REST."""

from __future__ import annotations

import gzip
import zipfile
from hashlib import md5
from io import BytesIO

import pytest
from PIL import Image

from scp.archive.identifiers import identifier
from tests.encoded import EXPLICIT, IMPLICIT, El
from tests.instances import ROOT, encapsulated, file, small_ct, text
from tests.scp.api.archiving import archive, patient

STORED = ["ID", "ParentPatient", "ParentSeries", "ParentStudy", "Path", "Status"]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """An archive whose uploads keep everything."""
    with archive(tmp_path_factory.mktemp("node")) as running:
        yield running


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of some files."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", method) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return made.getvalue()


def test_an_upload_is_stored_and_answered_with_its_identifiers(node):
    """They are those of what is stored, and it can be had back."""
    answer = node.ask("POST", "/instances", file(patient(1), EXPLICIT))

    uids = ("PAT-1", f"{ROOT}.1.1", f"{ROOT}.1.1.1", f"{ROOT}.1.1.1.1")
    assert sorted(answer) == STORED
    assert answer["ID"] == identifier(*uids)
    assert answer["ParentPatient"] == identifier(*uids[:1])
    assert answer["ParentStudy"] == identifier(*uids[:2])
    assert answer["ParentSeries"] == identifier(*uids[:3])
    assert answer["Path"] == f"/instances/{answer['ID']}"
    assert answer["Status"] == "Success"
    assert node.dataset(answer["ID"]).PatientName == "Doe^Jane1"


def test_the_same_upload_again_is_already_stored(node):
    """It is a success without a second file."""
    first = node.upload(patient(2))
    before = len(node.files())

    again = node.ask("POST", "/instances", file(patient(2), EXPLICIT))
    assert (again["ID"], again["Status"]) == (first, "AlreadyStored")
    assert len(node.files()) == before


def test_other_content_under_a_stored_uid_is_a_conflict(node):
    """It is refused with 409, and what is stored stays."""
    first = node.upload(patient(3))

    other = file(patient(3, extra=[text(0x00081030, "LO", "Other")]), EXPLICIT)
    fault = node.fault("POST", "/instances", other)
    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (409, 2018)
    assert node.dataset(first).StudyDescription == "Abdomen of Mrs Doe"


def test_an_upload_takes_the_way_of_the_rules(tmp_path):
    """With the basic profile nothing of the patient is stored."""
    config = "version: 1\nroutes: [{from: '*', profile: basic}]\nrest: {listen: '127.0.0.1:0'}\n"
    with archive(tmp_path, config) as node:
        id_ = node.upload(patient(4))

        assert node.dataset(id_).PatientName != "Doe^Jane4"
        assert id_ != identifier("PAT-4", f"{ROOT}.4.1", f"{ROOT}.4.1.1", f"{ROOT}.4.1.1.1")
        assert all(b"Doe^Jane4" not in path.read_bytes() for path in node.files())


def test_the_journal_says_that_an_upload_came_over_rest(node):
    """With the address of the client, and no AE titles."""
    id_ = node.upload(patient(5))
    metadata = node.services.catalogue.metadata(id_)

    assert (metadata["Origin"], metadata["RemoteIP"]) == ("RestApi", "127.0.0.1")


@pytest.mark.parametrize(
    "body",
    [b"", b"abc", b"no DICOM at all" * 100, bytes(200), bytes(128) + b"DICM"],
    ids=["empty", "short", "text", "zeros", "nothing behind the prefix"],
)
def test_what_is_no_dicom_file_is_a_bad_file(node, body):
    """400, with Orthanc's number."""
    fault = node.fault("POST", "/instances", body)

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (400, 15)
    assert fault["Details"] == "Cannot parse an invalid DICOM file"


def test_a_truncated_file_leaves_nothing(node):
    """It is refused with the reason, and no byte of it is on the disk."""
    before = sorted(node.files())
    fault = node.fault("POST", "/instances", file(patient(6), EXPLICIT)[:-9])

    assert fault["OrthancStatus"] == 15
    assert fault["Details"].startswith("The dataset ends inside an element")
    assert sorted(node.files()) == before


def test_a_refusal_quotes_no_value(tmp_path):
    """It says the reason and the tag."""
    config = (
        "version: 1\nroutes: [{from: '*', profile: basic}]\n"
        "profiles: {picky: {Base: none, Reject: [{PatientID: PAT-7}]}}\n"
        "rest: {listen: '127.0.0.1:0', profile: picky}\n"
    )
    with archive(tmp_path, config) as node:
        fault = node.fault("POST", "/instances", file(patient(7), EXPLICIT))

        assert fault["HttpStatus"] == 400
        assert fault["Details"] == "A Reject rule of the profile matches at (0010,0020)"
        assert node.files() == []


def test_a_file_beyond_the_limit_is_refused(node):
    """413, while it is on its way."""
    large = small_ct([El(0x7FE00010, "OW", bytes(3_000_000))], instance=77)
    fault = node.fault("POST", "/instances", file(large, EXPLICIT))

    assert fault["HttpStatus"] == 413


def test_gzip_is_opened(node):
    """With or without a header that says so."""
    body = gzip.compress(file(patient(8), EXPLICIT))
    first = node.client.ask("POST", "/instances", body, Content_Encoding="gzip")

    assert first.json["Status"] == "Success"
    assert node.ask("POST", "/instances", body)["Status"] == "AlreadyStored"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_is_answered_with_a_list(node, method):
    """Of its DICOM files; others, folders and archives in it are passed over."""
    base = 20 + method
    files = {
        "folder/": b"",
        "folder/a.dcm": file(patient(base), EXPLICIT),
        "README": b"hello",
        "b": file(patient(base, instance=2), IMPLICIT),
        "c.zip": zipped({"d": file(patient(base, instance=3), EXPLICIT)}),
    }
    answer = node.ask("POST", "/instances", zipped(files, method))

    assert [one["Status"] for one in answer] == ["Success", "Success"]
    assert len({one["ID"] for one in answer}) == 2
    assert len({one["ParentSeries"] for one in answer}) == 1


def test_a_file_of_a_zip_that_is_refused_says_why(node):
    """The others are stored."""
    files = {"a": file(patient(30), EXPLICIT)[:-9], "b": file(patient(30, instance=2), EXPLICIT)}
    refused, stored = node.ask("POST", "/instances", zipped(files))

    assert (refused["Status"], refused["ID"]) == ("FilteredOut", "")
    assert refused["Details"].startswith("The dataset ends inside an element")
    assert stored["Status"] == "Success"


def test_a_zip_of_nothing_but_refusals_is_a_fault(node):
    """The first of them."""
    fault = node.fault("POST", "/instances", zipped({"a": file(patient(31), EXPLICIT)[:-9]}))

    assert fault["OrthancStatus"] == 15


def test_a_cut_off_zip_stores_what_was_whole(node):
    """The file that was under way leaves nothing."""
    body = zipped({"a": file(patient(32), EXPLICIT), "b": file(patient(33), EXPLICIT)})
    before = len(node.files())
    fault = node.fault("POST", "/instances", body[: len(body) * 2 // 3])

    assert (fault["OrthancStatus"], fault["Details"]) == (15, "The archive is cut off")
    assert len(node.files()) == before + 1


def test_the_file_comes_as_it_is_stored(node):
    """With its type, name and length; as an attachment too."""
    id_ = node.upload(patient(40))
    answer = node.client.ask("GET", f"/instances/{id_}/file")
    attached = node.client.ask("GET", f"/instances/{id_}/attachments/dicom/data")

    assert answer.headers["content-type"] == "application/dicom"
    assert answer.headers["content-disposition"] == f'filename="{id_}.dcm"'
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.body[128:132] == b"DICM"
    assert attached.body == answer.body


def test_the_attachment_knows_its_size_and_sums(node):
    """As plain text, and together."""
    id_ = node.upload(patient(41))
    base = f"/instances/{id_}/attachments"
    data = node.client.ask("GET", f"{base}/dicom/data").body
    digest = md5(data, usedforsecurity=False).hexdigest()

    assert node.ask("GET", base) == ["dicom"]
    assert node.client.ask("GET", f"{base}/dicom/size").body == str(len(data)).encode()
    assert node.client.ask("GET", f"{base}/dicom/md5").body == digest.encode()
    assert node.client.ask("GET", f"{base}/dicom/is-compressed").body == b"0"
    info = node.ask("GET", f"{base}/dicom/info")
    assert (info["UncompressedSize"], info["UncompressedMD5"]) == (len(data), digest)


def test_the_file_of_a_damaged_or_missing_file_is_an_error(node):
    """Nothing that looks like an answer begins."""
    id_ = node.upload(patient(42))
    [path] = [one for one in node.files() if f"{ROOT}.42.1.1.1".encode() in one.read_bytes()]
    path.unlink()

    assert node.fault("GET", f"/instances/{id_}/file")["HttpStatus"] == 500


@pytest.mark.parametrize(
    "path",
    [
        *("file", "attachments", "attachments/dicom", "attachments/dicom/data", "frames"),
        *("preview", "tags", "simplified-tags", "header", "content", "content/0010-0010"),
    ],
)
@pytest.mark.parametrize("id_", ["nope", "a" * 44, identifier("nobody"), "..%2f..%2fetc"])
def test_an_unknown_instance_is_404_without_a_body(node, path, id_):
    """Whatever stands in the address."""
    answer = node.client.ask("GET", f"/instances/{id_}/{path}")

    assert (answer.status, answer.body) == (404, b"")


def test_a_resource_of_another_level_is_no_instance(node):
    """The identifier of a study does not give the file of one of its instances."""
    study = node.ask("POST", "/instances", file(patient(43), EXPLICIT))["ParentStudy"]

    assert node.client.ask("GET", f"/instances/{study}/file").status == 404


def test_frames_are_counted_from_zero(node):
    """One where Number of Frames is absent."""
    id_ = node.upload(patient(44))

    assert node.ask("GET", f"/instances/{id_}/frames") == [0]


def test_a_preview_is_a_png_of_the_image(node):
    """Of its size."""
    id_ = node.upload(patient(45))
    answer = node.client.ask("GET", f"/instances/{id_}/preview")

    assert answer.headers["content-type"] == "image/png"
    assert Image.open(BytesIO(answer.body)).size == (8, 8)


def test_a_preview_of_what_cannot_be_decoded_is_415(node):
    """The broken stream is decoded elsewhere, and the node goes on."""
    own = patient(46, extra=[encapsulated()[-1]])
    id_ = node.upload(file(own, "1.2.840.10008.1.2.4.50"))
    fault = node.fault("GET", f"/instances/{id_}/preview")

    assert fault["HttpStatus"] == 415
    assert fault["Details"].startswith("There is no preview: ")

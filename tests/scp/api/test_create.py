"""Instances made of attributes, pictures and documents."""

from __future__ import annotations

import base64
from io import BytesIO

import pytest
from PIL import Image

from scp.archive.creating import ENCAPSULATED_PDF, SECONDARY_CAPTURE
from tests.encoded import EXPLICIT
from tests.instances import ROOT, file
from tests.scp.api.archiving import archive, patient

FAULTS = {
    "no object": ([], 400, 8),
    "tags that are no object": ({"Tags": []}, 400, 8),
    "misspelt tag": ({"Tags": {"PatientNam": "x"}}, 400, 27),
    "number for a text": ({"Tags": {"PatientName": 5}}, 400, 5),
    "text for a number": ({"Tags": {"Rows": "x"}}, 400, 15),
    "uid without force": ({"Tags": {"StudyInstanceUID": "1.2.3"}}, 400, 2020),
    "unknown parent": ({"Tags": {}, "Parent": "nope"}, 400, 2024),
    "content of no type": ({"Tags": {}, "Content": "hello"}, 400, 15),
    "content of another type": ({"Tags": {}, "Content": "data:text/plain;base64,aGk="}, 400, 2),
    "content that is no base64": ({"Tags": {}, "Content": "data:image/png;base64,@@"}, 400, 15),
    "broken picture": ({"Tags": {}, "Content": "data:image/png;base64,aGVsbG8="}, 400, 15),
    "no PDF": ({"Tags": {}, "Content": "data:application/pdf;base64,aGVsbG8="}, 400, 15),
    "force that is no switch": ({"Tags": {}, "Force": "yes"}, 400, 15),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """An archive whose uploads keep everything."""
    with archive(tmp_path_factory.mktemp("node")) as running:
        yield running


def created(node, body: dict[str, object]):
    """The dataset of a new instance."""
    return node.dataset(node.ask("POST", "/tools/create-dicom", body)["ID"])


def content(data: bytes, media_type: str) -> str:
    """Bytes as a text of a body."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def drawn(mode: str, colour: object, kind: str = "PNG") -> str:
    """A picture of 4 by 3 in one colour."""
    made = BytesIO()
    Image.new(mode, (4, 3), colour).save(made, kind)
    return content(made.getvalue(), f"image/{kind.lower()}")


def test_an_instance_is_made_of_attributes(node):
    """With identifiers of its own, and what every instance has."""
    body = {"Tags": {"PatientName": "Hello^World", "0010,0020": "H-1", "SeriesDescription": "x"}}
    dataset = created(node, body)

    assert (dataset.PatientName, dataset.PatientID) == ("Hello^World", "H-1")
    assert dataset.SeriesDescription == "x"
    assert dataset.SOPClassUID == SECONDARY_CAPTURE
    assert len({dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID}) == 3
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


def test_the_answer_is_that_of_an_upload(node):
    """And a second one is another instance."""
    body = {"Tags": {"PatientID": "H-2"}}
    first = node.ask("POST", "/tools/create-dicom", body)
    second = node.ask("POST", "/tools/create-dicom", body)

    assert sorted(first) == [
        *("ID", "ParentPatient", "ParentSeries", "ParentStudy", "Path", "Status")
    ]
    assert first["ParentPatient"] == second["ParentPatient"]
    assert first["ID"] != second["ID"]


def test_fields_without_tags_are_attributes(node):
    """As clients of old write it."""
    assert created(node, {"PatientName": "Old^Way"}).PatientName == "Old^Way"


def test_sequences_and_texts_beyond_ascii_are_written(node):
    """In a character set that holds them."""
    body = {
        "Tags": {
            "PatientName": "Müller^Ø",
            "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2.3"}],
        }
    }
    dataset = created(node, body)

    assert dataset.PatientName == "Müller^Ø"
    assert dataset.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2.3"


@pytest.mark.parametrize(
    ("picture", "samples", "bits", "first"),
    [
        (drawn("RGB", (255, 0, 1)), 3, 8, [255, 0, 1]),
        (drawn("RGBA", (255, 0, 1, 7)), 3, 8, [255, 0, 1]),
        (drawn("L", 200), 1, 8, 200),
        (drawn("I;16", 4000), 1, 16, 4000),
    ],
    ids=["RGB", "RGBA", "grey", "16 bits"],
)
def test_a_picture_becomes_pixels(node, picture, samples, bits, first):
    """Of its size, colours and depth."""
    dataset = created(node, {"Tags": {}, "Content": picture})

    assert (dataset.Rows, dataset.Columns) == (3, 4)
    assert (dataset.SamplesPerPixel, dataset.BitsAllocated) == (samples, bits)
    assert dataset.pixel_array[0, 0].tolist() == first


def test_a_jpeg_becomes_pixels(node):
    """Decoded."""
    picture = drawn("L", 100, "JPEG")

    assert created(node, {"Tags": {}, "Content": picture}).pixel_array[0, 0] == 100


def test_a_pdf_is_wrapped(node):
    """With its length and type."""
    document = b"%PDF-1.4\nx"
    body = {"Tags": {"PatientName": "Pdf"}, "Content": content(document, "application/pdf")}
    dataset = created(node, body)

    assert dataset.SOPClassUID == ENCAPSULATED_PDF
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == document


def test_several_pictures_are_a_series(node):
    """One instance for each, and the answer names the series."""
    body = {"Tags": {}, "Content": [drawn("L", 1), drawn("L", 2)]}
    answer = node.ask("POST", "/tools/create-dicom", body)
    instances = node.services.catalogue.instances([answer["ID"]])

    assert answer["Path"] == f"/series/{answer['ID']}"
    numbers = [str(node.dataset(one.id).InstanceNumber) for one in instances]
    assert numbers == ["1", "2"]


def test_each_content_is_an_instance_of_its_own(node):
    """Nothing of one is left in the next."""
    document = content(b"%PDF-1.4\nx", "application/pdf")
    body = {"Tags": {}, "Content": [document, drawn("RGB", (1, 2, 3)), drawn("L", 1)]}
    answer = node.ask("POST", "/tools/create-dicom", body)
    made = [node.dataset(one.id) for one in node.services.catalogue.instances([answer["ID"]])]

    assert [one.SOPClassUID.name for one in made[1:]] == ["Secondary Capture Image Storage"] * 2
    assert ["EncapsulatedDocument" in one for one in made] == [True, False, False]
    assert ["PlanarConfiguration" in one for one in made] == [False, True, False]


def test_of_contents_that_cannot_all_be_written_none_is_stored(node):
    """The answer is a fault, and there is no more than before."""
    before = node.services.catalogue.statistics()
    broken = content(b"hello", "image/png")
    node.fault("POST", "/tools/create-dicom", {"Tags": {}, "Content": [drawn("L", 1), broken]})

    assert node.services.catalogue.statistics() == before


@pytest.mark.parametrize(
    ("level", "same"),
    [
        ("ParentPatient", ["PatientID", "PatientName"]),
        ("ParentStudy", ["PatientID", "StudyInstanceUID", "AccessionNumber", "StudyDate"]),
        ("ParentSeries", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"]),
    ],
)
def test_a_parent_gives_what_is_its_own(node, level, same):
    """Identifiers and attributes down to its level; below it they are new."""
    stored = node.ask("POST", "/instances", file(patient(5), EXPLICIT))
    parent = node.dataset(stored["ID"])
    answer = node.ask("POST", "/tools/create-dicom", {"Tags": {}, "Parent": stored[level]})
    dataset = node.dataset(answer["ID"])

    assert answer[level] == stored[level]
    assert [dataset[name].value for name in same] == [parent[name].value for name in same]
    assert dataset.SOPInstanceUID != parent.SOPInstanceUID
    assert (answer["ParentSeries"] == stored["ParentSeries"]) == (level == "ParentSeries")


def test_what_a_parent_gives_cannot_be_given(node):
    """The fault names the attribute."""
    stored = node.ask("POST", "/instances", file(patient(6), EXPLICIT))
    body = {"Tags": {"PatientName": "Other"}, "Parent": stored["ParentStudy"]}
    fault = node.fault("POST", "/tools/create-dicom", body)

    assert (fault["OrthancStatus"], fault["Details"]) == (2020, "PatientName")


def test_identifiers_can_be_given_by_force(node):
    """As they are."""
    body = {"Tags": {"StudyInstanceUID": f"{ROOT}.77"}, "Force": True}

    assert created(node, body).StudyInstanceUID == f"{ROOT}.77"


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_made_is_a_fault(node, case):
    """With Orthanc's number; nothing is stored."""
    body, status, number = FAULTS[case]
    before = len(node.files())
    fault = node.fault("POST", "/tools/create-dicom", body)

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (status, number)
    assert len(node.files()) == before


def test_what_is_made_takes_the_way_of_the_rules(tmp_path):
    """The profile of uploads de-identifies it too."""
    config = "version: 1\nroutes: [{from: '*', profile: basic}]\nrest: {listen: '127.0.0.1:0'}\n"
    with archive(tmp_path, config) as node:
        dataset = created(node, {"Tags": {"PatientName": "Hello^World"}})

        assert dataset.PatientName != "Hello^World"
        assert dataset.PatientIdentityRemoved == "YES"

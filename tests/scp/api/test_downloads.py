"""Many instances in one answer."""

from __future__ import annotations

from http.client import IncompleteRead
from io import BytesIO
from zipfile import ZipFile

import pytest

from tests.encoded import EXPLICIT
from tests.instances import file, text
from tests.scp.api.archiving import archive, patient


@pytest.fixture
def node(tmp_path):
    """An archive whose uploads keep everything."""
    with archive(tmp_path) as running:
        yield running


@pytest.fixture
def stored(node):
    """What is answered to two instances of one patient, and to one of another."""
    made = [patient(1), patient(1, instance=2), patient(2)]
    return [node.ask("POST", "/instances", file(elements, EXPLICIT)) for elements in made]


def unpacked(body: bytes) -> dict[str, bytes]:
    """The files of a zip file, each with its checksum verified."""
    with ZipFile(BytesIO(body)) as found:
        return {name: found.read(name) for name in found.namelist()}


def test_an_archive_holds_every_file_of_a_resource(node, stored):
    """Byte for byte, and nobody else's."""
    answer = node.client.ask("GET", f"/studies/{stored[0]['ParentStudy']}/archive")
    files = [node.client.ask("GET", f"/instances/{one['ID']}/file") for one in stored[:2]]
    wanted = {one.body for one in files}

    assert set(unpacked(answer.body).values()) == wanted
    assert answer.headers["content-type"] == "application/zip"


def test_names_in_an_archive_are_folders_of_patient_study_and_series(node):
    """Whatever the attributes hold, no name leaves the folder."""
    extra = [text(0x00081030, "LO", "../../etc: Schädel")]
    stored = node.ask("POST", "/instances", file(patient(1, extra=extra), EXPLICIT))
    answer = node.client.ask("GET", f"/series/{stored['ParentSeries']}/archive")
    [name] = unpacked(answer.body)

    assert len(name.split("/")) == 4
    assert name.endswith("/000000.dcm")
    assert ".." not in name.split("/")


def test_a_damaged_file_ends_its_archive(node, stored):
    """What opens is whole."""
    for path in node.files():
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    with pytest.raises((IncompleteRead, ConnectionError)):
        node.client.ask("GET", f"/patients/{stored[2]['ParentPatient']}/archive")


def test_shared_tags_have_one_value_in_all(node, stored):
    """Those of the study, not those of one instance."""
    shared = node.ask("GET", f"/studies/{stored[0]['ParentStudy']}/shared-tags?simplify")

    assert "StudyInstanceUID" in shared
    assert "SOPInstanceUID" not in shared


def test_nobody_has_an_archive_of_what_is_not_there(node, stored):
    """An instance is not a study."""
    assert node.client.ask("GET", f"/studies/{stored[0]['ID']}/archive").status == 404

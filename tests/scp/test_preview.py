"""Before and after of one file: its elements, and a picture where pixels change."""

from __future__ import annotations

import stat
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from rules import InstanceRefused, Pseudonyms
from rules.errors import DeidentificationError, Reason
from scp.errors import NotPart10
from scp.part10 import open_part10
from scp.pixel_worker import PixelWorker
from scp.preview import preview
from tests.acceptance.running import anonode
from tests.encoded import EXPLICIT
from tests.instances import file, report_on
from tests.rules.test_pixels import TOP, drawn, instance
from tests.screened import MAKER, PIXELS, PLAN, made_by, written

KEY = Pseudonyms(bytes(32))
CODE_VALUE = b"\x08\x00\x00\x01SH"
CONFIG = f"""
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  screened:
    Base: basic
    BurnedIn: {{SecondaryCapture: keep}}
{PIXELS}
routes: [{{from: CT1, profile: screened}}]
"""


@pytest.fixture
def saved(tmp_path):
    """Save an instance under a name that says whose it is."""

    def save(dataset, name="doe-jane.dcm"):
        path = tmp_path / name
        path.write_bytes(written(dataset))
        return path

    return save


@pytest.fixture(scope="module")
def blank():
    """One process for all."""
    with PixelWorker(processes=1) as worker:
        yield worker


def test_every_element_says_what_becomes_of_it(saved):
    """Kept, removed, added or replaced, with both values, in the order of tags."""
    dataset = made_by(instance(drawn("L")))
    dataset.PatientName, dataset.InstitutionName = "DOE^JANE", "SAINT ELSEWHERE"
    dataset.PatientID = "4711"

    rows = preview(open_part10(saved(dataset)), PLAN, KEY).rows

    by_name = {row.name: row for row in rows}
    tags = [row.tag for row in rows if not row.depth]
    assert tags == sorted(tags)
    assert by_name["Rows"].change == "kept"
    assert (by_name["Institution Name"].change, by_name["Institution Name"].after) == (
        "removed",
        None,
    )
    assert by_name["Patient's Name"].before == "DOE^JANE"
    assert by_name["Patient's Name"].change == "replaced"
    assert by_name["Patient ID"].after != "4711"
    assert (by_name["Patient Identity Removed"].change, by_name["Burned In Annotation"].after) == (
        "added",
        "NO",
    )


def test_items_are_shown_below_their_sequence(saved):
    """One step deeper, each element for itself."""
    dataset = made_by(instance(drawn("L")))
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "ONE"
    dataset.ProcedureCodeSequence = [item]

    rows = preview(open_part10(saved(dataset)), PLAN, KEY).rows

    at = [row.name for row in rows].index("Procedure Code Sequence")
    assert [(row.depth, row.name) for row in rows[at : at + 3]] == [
        (0, "Procedure Code Sequence"),
        (1, "Code Value"),
        (1, "Code Meaning"),
    ]


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("maker", [MAKER, "OTHER"])
def test_pixels_change_where_a_rule_knows_the_device(saved, blank, syntax, maker):
    """And only there: what is not blanked stays byte for byte."""
    dataset = made_by(instance(drawn("L", frames=2)), maker)
    dataset.BurnedInAnnotation = "NO"
    if syntax:
        dataset.compress(syntax)

    found = preview(open_part10(saved(dataset)), PLAN, KEY, blank)

    assert found.pixels_changed is (maker == MAKER)
    assert dcmread(BytesIO(found.result)).Rows == dataset.Rows


def test_what_ingest_refuses_a_preview_refuses(saved):
    """With the same reason: text that no rule knows, pixels that nothing decodes."""
    unknown = made_by(instance(drawn("L")), "OTHER")
    packed = made_by(instance(drawn("L")))
    packed.compress(RLELossless)

    with pytest.raises(InstanceRefused) as burned_in:
        preview(open_part10(saved(unknown)), PLAN, KEY)
    with pytest.raises(DeidentificationError) as unreadable:
        preview(open_part10(saved(packed)), PLAN, KEY)

    assert burned_in.value.reason is Reason.BURNED_IN
    assert unreadable.value.reason is Reason.PIXELS_UNREADABLE


@pytest.fixture
def unreadable(tmp_path):
    """A report with an item whose element has a VR that the standard does not know."""
    content = file(report_on(1), EXPLICIT)
    assert CODE_VALUE in content
    path = tmp_path / "a-doe.dcm"
    path.write_bytes(content.replace(CODE_VALUE, CODE_VALUE[:4] + b"SF", 1))
    return path


def test_what_the_other_reader_cannot_read_is_refused(unreadable):
    """The rules may know what becomes of it, but nobody could look at it."""
    with pytest.raises(NotPart10, match="cannot be read"):
        preview(open_part10(unreadable), PLAN, KEY)


def test_a_file_that_cannot_be_shown_is_named_and_the_next_is_shown(unreadable, saved, tmp_path):
    """Without a word of the reader's."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    dataset = made_by(instance(drawn("L")))
    dataset.BurnedInAnnotation = "NO"
    paths = [unreadable, saved(dataset, "b-doe.dcm")]

    done = anonode("preview", *paths, "--config", tmp_path / "config.yaml")

    assert done.returncode == 1
    assert "a-doe.dcm: refused: " in done.stdout
    assert "b-doe.dcm, profile screened" in done.stdout
    assert (done.stderr, "NotImplemented" in done.stdout) == ("", False)


@pytest.fixture
def previewed(saved, tmp_path):
    """The command over a native image, one that no rule knows, and a compressed one."""
    packed = made_by(instance(drawn("L")))
    packed.compress(RLELossless)
    saved(made_by(instance(drawn("L"))), "a-doe.dcm")
    saved(made_by(instance(drawn("L")), "OTHER"), "b-doe.dcm")
    saved(packed, "c-doe.dcm")
    (tmp_path / "config.yaml").write_text(CONFIG)
    paths = [tmp_path / f"{letter}-doe.dcm" for letter in "abc"]

    def run():
        return anonode(
            *("preview", *paths, "--png", tmp_path / "pictures", "--profile", "screened"),
            *("--config", tmp_path / "config.yaml"),
        )

    return run


def test_pictures_show_what_is_blanked(previewed, tmp_path):
    """Black in the boxes, before it was text; outside of them nothing has changed."""
    done = previewed()

    assert done.returncode == 0, done.stderr
    for number in (1, 3):
        before, after = (
            np.array(Image.open(tmp_path / "pictures" / f"{number}-{name}.png"))
            for name in ("before", "after")
        )
        outside = np.ones(before.shape, bool)
        for box in TOP.boxes:
            inside = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
            assert before[inside].any()
            assert not after[inside].any()
            outside[inside] = False
        assert np.corrcoef(before[outside], after[outside])[0, 1] > 0.9999


@pytest.mark.slow
def test_pictures_are_named_by_position_and_for_the_owner_alone(previewed, tmp_path):
    """No name, no UID; and the screen says that the first of each pair is identifiable."""
    done = previewed()
    found = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "pictures").iterdir()
    }

    assert found == dict.fromkeys(
        ("1-before.png", "1-after.png", "3-before.png", "3-after.png"), 0o600
    )
    assert stat.S_IMODE((tmp_path / "pictures").stat().st_mode) == 0o700
    assert done.stdout.count("identifiable") == 2
    assert str(tmp_path / "pictures" / "3-after.png") in done.stdout


@pytest.mark.slow
def test_pictures_overwrite_nothing(previewed, tmp_path):
    """Those of an earlier preview stay, and the command says where it stopped."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1-before.png").write_bytes(b"kept")

    done = previewed()

    assert done.returncode == 1
    assert "1-before.png: File exists" in done.stderr
    assert (tmp_path / "pictures" / "1-before.png").read_bytes() == b"kept"

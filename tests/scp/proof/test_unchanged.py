"""What is as it was in its place is judged by what the result claims."""

from __future__ import annotations

import pytest

from scp.proof.judging import claims_of
from scp.proof.second_reader import read_again
from scp.proof.unchanged import in_place
from tests.scp.proof.verifying import (
    ACCESSION,
    FAMILY,
    INSTITUTION,
    STUDY_DATE,
    original,
    result,
    save,
)


def _unchanged(folder, codes: tuple[str, ...] = (), **values: str) -> dict[str, str]:
    after = result(original(), *codes)
    for keyword, value in values.items():
        setattr(after, keyword, value)
    readings = [read_again(save(folder, one, name)) for one, name in _both(after)]
    found = in_place(readings[0], readings[1], claims_of(readings[1]))
    return {leaf.shown: severity.value for leaf, severity in found}


def _both(after):
    return (original(), "original.dcm"), (after, "result.dcm")


def test_a_value_that_the_table_names_should_have_changed(tmp_path):
    """A manufacturer, which it does not name, may stay."""
    assert _unchanged(tmp_path, AccessionNumber=ACCESSION) == {"(0008,0050)": "leak"}


@pytest.mark.parametrize(
    ("code", "keyword", "value"),
    [
        ("113112", "InstitutionName", INSTITUTION),
        ("113106", "StudyDate", STUDY_DATE),
        ("113105", "ImageComments", "Breath held"),
    ],
)
def test_an_option_that_is_claimed_lets_it_stay(tmp_path, code, keyword, value):
    """Retained, or cleaned and clean."""
    assert _unchanged(tmp_path, (code,), **{keyword: value}) == {}
    assert len(_unchanged(tmp_path, (), **{keyword: value})) == 1


def test_the_moving_of_dates_lets_no_date_stay(tmp_path):
    """It is the one option that changes what it names."""
    assert _unchanged(tmp_path, ("113107",), StudyDate=STUDY_DATE) == {"(0008,0020)": "leak"}


def test_without_the_claim_of_the_profile_what_is_kept_is_only_possible(tmp_path):
    """A rule of the profile's own may keep a name, and may well keep a description."""
    after = result(original())
    after.PatientName = f"{FAMILY}^Melisande"
    after.ImageComments = "Breath held"
    del after.DeidentificationMethodCodeSequence
    readings = [read_again(save(tmp_path, one, name)) for one, name in _both(after)]
    found = in_place(readings[0], readings[1], claims_of(readings[1]))

    assert {leaf.shown: severity.value for leaf, severity in found} == {"(0010,0010)": "possible"}

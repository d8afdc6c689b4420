"""Names of attributes as clients write them."""

from __future__ import annotations

import pytest

from scp.archive.tag_names import name_of, tag_of


@pytest.mark.parametrize(
    "name", ["PatientName", "0010,0010", "0010-0010", "00100010", "(0010,0010)", " PatientName "]
)
def test_every_spelling_is_one_tag(name):
    """As Orthanc takes them."""
    assert tag_of(name) == 0x00100010


def test_hexadecimal_digits_have_no_case():
    """Private tags too."""
    assert tag_of("0009,10ab") == tag_of("000910AB") == 0x000910AB


@pytest.mark.parametrize(
    "name", ["", "PatientNam", "0010,001", "50xx,0010", "A[0].B", "OverlayRows"]
)
def test_what_names_no_attribute_is_refused(name):
    """With a sentence."""
    with pytest.raises(ValueError, match=r"\w"):
        tag_of(name)


@pytest.mark.parametrize("tag", [0x00100010, 0x7FE00010, 0x00091001])
def test_a_name_leads_back_to_its_tag(tag):
    """A keyword where there is one."""
    assert tag_of(name_of(tag)) == tag

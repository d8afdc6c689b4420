"""What a result can be asked for, and what is said to somebody who asks for something else."""

from __future__ import annotations

import pytest
from pydicom.uid import AllTransferSyntaxes

from rules.targets import TARGETS, objection


@pytest.mark.parametrize("uid", sorted(TARGETS))
def test_what_can_be_encoded_meets_no_objection(uid):
    """All of them are transfer syntaxes of the standard."""
    assert uid in AllTransferSyntaxes
    assert objection(uid) == ""


@pytest.mark.parametrize("uid", ["1.2.3", "JPEG", "", "1.2.840.10008.5.1.4.1.1.2"])
def test_what_is_no_transfer_syntax_is_called_that(uid):
    """Neither is the UID of a SOP class."""
    assert "no transfer syntax" in objection(uid)


@pytest.mark.parametrize("uid", sorted(set(AllTransferSyntaxes) - TARGETS))
def test_what_nothing_here_encodes_is_named(uid):
    """Known to the standard: video, HTJ2K, and others."""
    assert objection(uid).startswith(f"nothing here encodes {uid.name}")

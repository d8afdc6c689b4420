"""How the rules of a request are read."""

from __future__ import annotations

import pytest

from rules.operators import KEEP, KEEP_WHOLE, Context
from rules.requests import read_anonymize
from rules.requests.readings import ToUTF8, rules_of
from rules.values import Unencodable
from tests import driving


def test_sequences_are_kept_whole_at_every_place():
    """Other attributes are simply kept."""
    body = {"Keep": ["ContentSequence", "StudyDate", "ProcedureCodeSequence[*].ContentSequence"]}

    root = rules_of(read_anonymize(body).profile)

    inner = root.children[0x00081032][None]
    assert root.exact[0x0040A730].operator is KEEP_WHOLE
    assert inner.exact[0x0040A730].operator is KEEP_WHOLE
    assert root.exact[0x00080020].operator is KEEP


def test_utf_8_is_declared_of_an_instance_in_utf_8_only():
    """Any other has to be widened first."""
    latin, utf_8 = (
        Context(driving.pseudonyms(), implicit=False, charsets=(term,))
        for term in ("ISO_IR 100", "ISO_IR 192")
    )

    assert ToUTF8().apply("CS", b"", utf_8) == b"ISO_IR 192"
    with pytest.raises(Unencodable):
        ToUTF8().apply("CS", b"", latin)

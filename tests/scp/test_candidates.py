"""The pseudonyms of candidates are those of the engine, and only the key finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import Pseudonyms, compile_plan
from rules.profile import KeyedUID, ReplaceRule
from rules.profile import Pseudonym as PseudonymRule
from rules.selectors import parse_selector
from scp.candidates import CandidatesError, identifier_of, match, read_candidates, uid_of
from tests import driving, encoded, instances
from tests.encoded import EXPLICIT

if TYPE_CHECKING:
    from pathlib import Path

SCOPE = "study-7"
OTHERS = Pseudonyms(bytes(range(1, 33)))
NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF), min_size=1, max_size=12)


def _written(tag: int, vr: str, value: bytes, rule: object, charset: str = "") -> str:
    """What the engine writes for a value under a rule."""
    keyword = {0x00100020: "PatientID", 0x0020000D: "StudyInstanceUID"}[tag]
    place = driving.profile().mark
    replaced = ReplaceRule(parse_selector(keyword), rule, place)
    plan = compile_plan(driving.profile(replace=(replaced,), consistent=SCOPE))
    extra = [encoded.El(tag, vr, value)]
    if charset:
        extra.append(instances.text(0x00080005, "CS", charset))
    dataset = instances.dataset(instances.merged(instances.small_ct(), extra), EXPLICIT)
    output = driving.engine(dataset, EXPLICIT, plan=plan)
    return str(driving.read(output.file)[tag].value)


@pytest.mark.parametrize(
    ("original", "encoding", "charset"),
    [
        ("PID-77 ", "ascii", ""),
        ("Ä-771", "latin-1", "ISO_IR 100"),
        ("Ä-7712", "utf-8", "ISO_IR 192"),
        (normalize("NFD", "Ä-771"), "utf-8", "ISO_IR 192"),
    ],
)
def test_a_pseudonym_is_that_of_the_engine(original, encoding, charset):
    """Whatever the instance is encoded in, and however its text is composed and padded."""
    value = original.encode(encoding)
    value += b" " * (len(value) % 2)
    written = _written(0x00100020, "LO", value, PseudonymRule(SCOPE), charset)

    assert identifier_of(driving.pseudonyms(), SCOPE, original) == written


def test_a_uid_is_that_of_the_engine():
    """By the scope of the profile."""
    written = _written(0x0020000D, "UI", b"1.2.7.88.1", KeyedUID())

    assert uid_of(driving.pseudonyms(), SCOPE, " 1.2.7.88.1\0") == written


@given(st.lists(NAMES, min_size=1, max_size=8), st.data())
def test_every_candidate_is_found_by_its_pseudonym(names, data):
    """And by no other key or scope."""
    ours = driving.pseudonyms()
    meant = data.draw(st.sampled_from(names))
    wanted = [identifier_of(ours, SCOPE, meant), uid_of(ours, SCOPE, meant)]
    found = match(ours, SCOPE, names, wanted)

    assert all(meant in one.candidates for one in found)
    assert not any(one.candidates for one in match(ours, "other", names, wanted))
    assert not any(one.candidates for one in match(OTHERS, SCOPE, names, wanted))


def test_a_pseudonym_may_be_typed_in_small_letters():
    """They are copied from mail and paper."""
    asked = identifier_of(driving.pseudonyms(), SCOPE, "P1").lower()

    (found,) = match(driving.pseudonyms(), SCOPE, ["P0", "P1"], [asked])
    assert (found.pseudonym, found.candidates) == (asked, ("P1",))


def _list(folder: Path, text: bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text)
    return path


def test_the_first_column_is_read_from_the_top(tmp_path):
    """Blank lines and cells are passed over, as is a byte order mark."""
    path = _list(tmp_path, b'\xef\xbb\xbfP1,x\n\n" P2 ",y\n,z\nP\xc3\x84\n')

    assert list(read_candidates(path)) == ["P1", "P2", "PÄ"]


def test_a_column_is_read_by_its_name(tmp_path):
    """The first row is no candidate then."""
    path = _list(tmp_path, b"name,mrn\nA,P1\nB,P2\n")

    assert list(read_candidates(path, "mrn")) == ["P1", "P2"]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        (b"name,mrn\nSECRET,P1\n", "id", "row 1: no column is named id"),
        (b"", "id", "row 1: no column is named id"),
        (b"name,mrn\nSECRET,P1\nSECRET\n", "mrn", "row 3: it has too few columns"),
        (b"SECRET\nSECRET\xff\n", None, "row 2: it is not in UTF-8"),
        (b"P1\n" + b"SECRET" * 30_000, None, "row 2: it is not CSV"),
    ],
)
def test_a_list_that_cannot_be_read_is_said_by_its_row(tmp_path, text, column, message):
    """Never by what stands in it."""
    path = _list(tmp_path, text)
    with pytest.raises(CandidatesError) as caught:
        list(read_candidates(path, column))

    assert message in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_match_does_not_show_who_it_is():
    """Only who asks for the candidates sees them."""
    asked = identifier_of(driving.pseudonyms(), SCOPE, "SECRET")

    assert "SECRET" not in repr(match(driving.pseudonyms(), SCOPE, ["SECRET"], [asked]))

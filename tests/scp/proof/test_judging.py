"""A word is a leak by what it is, what is around it, and what the result says that it keeps."""

from __future__ import annotations

import pytest

from scp.proof.judging import Claims, Spot, judged, vocabulary
from scp.proof.traces import Kind, Trace

BASIC = Claims(frozenset(["113100"]), frozenset(), "REMOVED")
KEEPS_UIDS = Claims(frozenset(["113100", "113110"]), frozenset(["retain-uids"]), "REMOVED")
KEEPS_DATES = Claims(frozenset(["113100"]), frozenset(), "UNMODIFIED")
COMMENTS, MANUFACTURER = 0x00204000, 0x00080070


def _judged(kind: Kind, word: str, value: bytes, vr: str = "LT", **more: object) -> str:
    tag = more.pop("tag", COMMENTS)
    claims = more.pop("claims", BASIC)
    kept = bool(more.pop("kept", False))
    needle = word.encode()
    start = value.index(needle)
    spot = Spot(value, start, start + len(needle), vr, tag, kept)
    return str(judged(Trace(kind, word, {0x00100010}), spot, claims) or "")


@pytest.mark.parametrize(
    ("kind", "word", "value", "vr", "expected"),
    [
        (Kind.UID, "1.2.7.555.1000", b"was 1.2.7.555.1000", "LT", "leak"),
        (Kind.UID, "1.2.7.555.1000", b"\0\xfe91.2.7.555.1000\xff", "OB", "possible"),
        (Kind.UID, "1.2.7.555.1000", b"1.2.7.555.1000.3", "UI", ""),
        (Kind.UID, "1.2.3", b"release 1.2.3", "LT", "possible"),
        (Kind.UID, "1.2", b"1.2", "DS", ""),
        (Kind.NAME, "quandryson", b"dr quandryson,", "LT", "leak"),
        (Kind.NAME, "quandry", b"quandrysonite", "LT", "possible"),
        (Kind.NAME, "lee", b"lee", "LT", "possible"),
        (Kind.NAME, "lee", b"sleep", "LT", ""),
        (Kind.NAME, "head", b"head first", "LT", "possible"),
        (Kind.NAME, "head", b"head", "CS", ""),
        (Kind.NAME, "abcd", b"\0abcd\xff\1", "OB", ""),
        (Kind.NAME, "melisa", b"\0melisa\0\1", "OB", "possible"),
        (Kind.IDENTIFIER, "pid-7712", b"see pid-7712", "LT", "leak"),
        (Kind.IDENTIFIER, "77123456", b"a77123456", "LT", "leak"),
        (Kind.IDENTIFIER, "77123", b"0.77123", "DS", ""),
        (Kind.IDENTIFIER, "7712", b"see 7712", "LT", "possible"),
        (Kind.IDENTIFIER, "7712", b"17712", "LT", ""),
        (Kind.DATE, "20110315", b"on 20110315", "LT", "leak"),
        (Kind.DATE, "20110315", b"20110315", "DA", ""),
        (Kind.DATE, "20110315", b"120110315", "LT", ""),
        (Kind.DATE, "20110315", b"2.25.20110315", "UI", ""),
        (Kind.TEXT, "kernel b30", b"kernel b30", "LO", ""),
        (Kind.TEXT, "kernel b30", b"a kernel b30", "LT", "possible"),
    ],
)
def test_a_word_in_a_value(kind, word, value, vr, expected):
    """Each kind by its own rule."""
    assert _judged(kind, word, value, vr) == expected


def test_what_is_claimed_is_no_finding():
    """UIDs and dates that are kept."""
    assert _judged(Kind.UID, "1.2.7.555.1000", b"1.2.7.555.1000", claims=KEEPS_UIDS) == ""
    assert _judged(Kind.DATE, "20110315", b"on 20110315", claims=KEEPS_DATES) == ""


def test_a_date_where_it_was_is_a_leak():
    """And one that another original had there is none."""
    assert _judged(Kind.DATE, "20110315", b"20110315", "DA", kept=True) == "leak"


def test_makers_may_be_called_as_patients_are():
    """What the table does not name may say who made the device."""
    said = {"vr": "LO", "tag": MANUFACTURER, "kept": True}
    assert _judged(Kind.NAME, "philips", b"philips ", **said) == ""
    assert _judged(Kind.NAME, "quandryson", b"quandryson", **said) == "possible"


def test_the_vocabulary_is_of_the_standard_and_of_makers():
    """Words that say nothing of anybody."""
    assert {"head", "philips", "siemens", "patient", "storage"} <= vocabulary()
    assert "quandryson" not in vocabulary()

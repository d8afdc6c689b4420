"""References are followed within each set; one that is gone with its element is not broken."""

from __future__ import annotations

from pathlib import Path

from scp.proof.pairing import Card
from scp.proof.references import broken, resolved

PLACE = (0x00081140, 0x00081155)
TAGS = {PLACE: "(0008,1140)[].(0008,1155)"}


def _card(uid: str, *referenced: str) -> Card:
    return Card(Path(uid), uid, (), {PLACE: referenced} if referenced else {}, TAGS)


ORIGINALS = [_card("1.1"), _card("1.2", "1.1", "1.9")]
PAIRS = {0: 0, 1: 1}


def test_what_leads_on_is_counted_on_both_sides():
    """Within the own set only."""
    results = [_card("2.1"), _card("2.2", "2.1", "2.9")]
    found = resolved(ORIGINALS, results)

    assert (found.before, found.after) == (1, 1)
    assert list(broken(ORIGINALS, results, PAIRS)) == []


def test_what_leads_nowhere_is_broken():
    """But not what led nowhere before."""
    results = [_card("2.1"), _card("2.2", "2.8", "2.9")]
    assert [(tag, count) for _, tag, count in broken(ORIGINALS, results, PAIRS)] == [
        ("(0008,1140)[].(0008,1155)", 1)
    ]


def test_what_is_gone_with_its_element_is_not_broken():
    """The table removes some of them."""
    assert list(broken(ORIGINALS, [_card("2.1"), _card("2.2")], PAIRS)) == []


def test_what_refers_to_an_instance_without_result_is_not_broken():
    """That the target was refused is said of the target."""
    results = [_card("2.2", "2.1", "2.9")]
    assert list(broken(ORIGINALS, results, {1: 0})) == []

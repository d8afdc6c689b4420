"""Cutting pieces out of a text so that what is left reads on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.text.excision import without


def cut(said: str) -> str:
    """A text without every X-word."""
    spans, at = [], said.find("X")
    while at >= 0:
        spans.append((at, at + 1))
        at = said.find("X", at + 1)
    return without(said, spans)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("knee X left", "knee left"),
        ("X knee", "knee"),
        ("knee, X", "knee"),
        ("knee, X, left", "knee, left"),
        ("knee X, left", "knee, left"),
        ("knee: X left", "knee: left"),
        ("knee-X left", "knee left"),
        ("knee/X/left", "knee/left"),
        ("knee - X left", "knee - left"),
        ("knee X. Left", "knee. Left"),
        ("knee (X) left", "knee left"),
        ("knee ( X, X ) left", "knee left"),
        ("knee (X, left)", "knee (left)"),
        ("knee (left, X)", "knee (left)"),
        ("knee [(X)] left", "knee left"),
        ("X, X; X^X knee", "knee"),
        ("knee\r\nX\r\nleft", "knee\r\n\r\nleft"),
        ("knee X\n  left", "knee\n  left"),
        ("部X位", "部位"),
        ("X", ""),
        ("(X).", ""),
    ],
)
def test_what_is_left_reads_on(said: str, left: str) -> None:
    """Blanks collapse, joining signs join nothing, brackets go with what was in them."""
    assert cut(said) == left


def test_what_is_not_beside_a_cut_is_left_alone() -> None:
    """Also if it is untidy."""
    assert cut("  a  ,, b () X c  ( d") == "  a  ,, b () c  ( d"


@given(st.text(alphabet="ab X,()-\n.", max_size=40))
def test_only_the_spans_and_signs_around_them_go(said: str) -> None:
    """Letters stay, in their order, and lines are not joined."""
    left = cut(said)

    letters = "".join(character for character in said if character in "ab")
    assert "".join(character for character in left if character in "ab") == letters
    assert not letters or left.count("\n") == said.count("\n")

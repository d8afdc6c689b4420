"""What identifies by its look alone (PS3.15 E.3.5)."""

from __future__ import annotations

import pytest

from rules.text.excision import without
from rules.text.numbers import of_anybody
from rules.text.wording import words


def unnumbered(said: str) -> str:
    """A text without what looks like an identifier."""
    return without(said, of_anybody(said, words(said)))


@pytest.mark.parametrize(
    "said",
    [
        *("+49 30 1234567", "(555) 123-4567", "555-123-4567", "06 12 34 56 78", "030/1234567"),
        *("Tel: 4567 89", "pager 4567", "123-45-6789", "123 45 6789", "943 476 5919"),
        *("1 85 05 78 006 084 36", "12.345.678-5", "MRN 12345", "Acc.No.: 2024-771", "123456"),
        *("20240229", "20240229101112.000"),
        *("A1234567", "jane@example.org", "https://x.example/a?b=c", "www.example.org/a"),
        *(
            "pacs.example.org",
            "1.2.276.0.7230010",
            "10.1.2.3",
            "10.104.244.17",
            "123-45-6789-01",
            "fe80::1",
            "00:1b:44:11:3a:b7",
        ),
    ],
)
def test_what_looks_like_an_identifier_goes(said: str) -> None:
    """Telephone, record and social security numbers, addresses of networks."""
    assert unnumbered(f"liver {said} lesion") == "liver lesion"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("92-year-old man", "year-old man"),
        ("patient 093Y, 101 Jahre", "patient Y, Jahre"),
        ("aged 95 cough", "aged cough"),
        ("aged 45, 88-year-old", "aged 45, 88-year-old"),
        ("born 1932", "born"),
    ],
)
def test_an_age_over_89_and_a_year_of_birth_go(said: str, left: str) -> None:
    """Younger ages say little."""
    assert unnumbered(said) == left


@pytest.mark.parametrize(
    "said",
    [
        *("5.0 B30f", "120kV", "T2 L4/L5 C7", "64x64", "0.625mm", "b1000 TE80 TR 3000", "1.1"),
        *(
            "512 512 200",
            "pitch 0.7031250",
            "10:30:15",
            "W 400 L 40",
            "1.73m2",
            "pH 7.35",
            "12345",
        ),
        *("50_400_800", "3 of 12", "id 12", "89 y", "Y-90", "e.g.", "i.v.", "2.5 x 3.1 x 4.0 cm"),
    ],
)
def test_numbers_of_the_trade_stay(said: str) -> None:
    """Kernel, tube voltage, level, matrix, thickness, laboratory values."""
    assert unnumbered(said) == said

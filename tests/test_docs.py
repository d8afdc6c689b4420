"""The pages that are made from the code say what the code says."""

from __future__ import annotations

from docs import generate


def test_the_page_of_the_ready_made_profiles_is_up_to_date():
    """A row that changes changes the page in the same commit: `make docs` writes it."""
    assert (generate.DOCS / "profiles.md").read_text("utf-8") == generate.profiles_page()


def test_the_page_has_a_row_for_each_attribute_of_the_table():
    """653 rows of Table E.1-1 (2026d) name one attribute."""
    rows = [line for line in generate.profiles_page().splitlines() if line.startswith("| (")]

    assert len(rows) == 653

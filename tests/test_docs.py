"""The pages that are made from the code say what the code says."""

from __future__ import annotations

from docs import conformance, generate, promises


def test_the_page_of_the_ready_made_profiles_is_up_to_date():
    """A row that changes changes the page in the same commit: `make docs` writes it."""
    assert (generate.DOCS / "profiles.md").read_text("utf-8") == generate.profiles_page()


def test_the_page_has_a_row_for_each_attribute_of_the_table():
    """653 rows of Table E.1-1 (2026d) name one attribute."""
    rows = [line for line in generate.profiles_page().splitlines() if line.startswith("| (")]

    assert len(rows) == 653


def test_the_conformance_statement_is_up_to_date():
    """What is negotiated and answered is what it says."""
    assert (generate.DOCS / "conformance.md").read_text("utf-8") == conformance.page()


def test_the_table_of_promises_is_up_to_date():
    """What the README says was seen is what the tests wrote down: `make docs` writes it."""
    readme = generate.README.read_text("utf-8")

    assert promises.within(readme) == readme


def test_every_trial_that_was_measured_has_its_sentence():
    """A figure that nobody can place helps nobody."""
    named = {name for trials in promises.TRIALS.values() for name in trials}

    assert set(promises.results()) - named == set()

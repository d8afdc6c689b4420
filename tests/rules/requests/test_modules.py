"""Reading the Patient and General Study modules of a stored instance."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import DeidentificationError, Reason
from rules.requests import module_elements
from rules.tables.study_modules import study_module_tags
from tests import instances
from tests.encoded import DEFLATED, EXPLICIT, IMPLICIT, El
from tests.instances import SYNTAXES, small_ct, text


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_modules_are_what_the_instance_has_of_them(syntax):
    """And nothing else, in every transfer syntax."""
    modules = module_elements(instances.dataset(small_ct(), syntax), syntax)

    has = {element.tag for element in small_ct()}
    assert modules.operators.keys() == has & study_module_tags()
    assert modules.absent == study_module_tags() - has


def test_what_stands_behind_the_modules_may_be_missing():
    """Nobody has to read the pixels."""
    dataset = instances.dataset(small_ct(), EXPLICIT)
    whole = module_elements(dataset, EXPLICIT)

    assert module_elements(dataset[: len(dataset) - 100], EXPLICIT) == whole


def test_an_instance_that_ends_inside_a_module_is_refused():
    """Half of a patient is none."""
    dataset = instances.dataset(small_ct(), EXPLICIT)

    with pytest.raises(DeidentificationError) as refused:
        module_elements(dataset[: dataset.index(b"PAT-4711") + 3], EXPLICIT)

    assert refused.value.reason is Reason.TRUNCATED


def test_sequences_are_read_with_all_they_hold():
    """Private elements with the VR of their creator, and what a UN hides."""
    item = [
        text(0x00080104, "LO", "meaning"),
        text(0x00190010, "LO", "SIEMENS MR HEADER"),
        text(0x0019100C, "IS", "1000"),
    ]
    sequence = El(0x00081032, "UN", [item], True)  # noqa: FBT003

    modules = module_elements(instances.dataset(small_ct([sequence]), EXPLICIT), EXPLICIT)

    ((*elements,),) = modules.operators[0x00081032].items
    assert [(tag, vr) for tag, vr, _ in elements] == [
        (0x00080104, "LO"),
        (0x00190010, "LO"),
        (0x0019100C, "IS"),
    ]


def test_nothing_of_a_patient_shows_in_their_representation():
    """They are held by a job, and jobs are logged."""
    greek = El(0x00100010, "PN", "Ωνάσης".encode("iso8859_7"))
    dataset = instances.dataset(small_ct([greek, text(0x00080005, "CS", "ISO_IR 126")]), EXPLICIT)

    assert "PAT-4711" not in repr(module_elements(dataset, EXPLICIT))
    assert "Ων" not in repr(module_elements(dataset, EXPLICIT).operators[0x00100010])


def test_sequences_nested_too_deep_are_refused():
    """Rather than followed."""
    nested = El(0x00081032, "SQ", [])
    for _ in range(100):
        nested = El(0x00081032, "SQ", [[nested]])

    with pytest.raises(DeidentificationError):
        module_elements(instances.dataset(small_ct([nested]), EXPLICIT), EXPLICIT)


@given(
    st.sampled_from([EXPLICIT, IMPLICIT, DEFLATED]),
    st.integers(0, 600),
    st.binary(min_size=1, max_size=8),
)
def test_damage_is_refused_or_read(syntax, at, damage):
    """Never another exception."""
    dataset = bytearray(instances.dataset(instances.with_every_length_form(), syntax))
    dataset[at : at + len(damage)] = damage

    with contextlib.suppress(DeidentificationError):
        assert module_elements(bytes(dataset), syntax).absent

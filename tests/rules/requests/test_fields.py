"""Fields of a body are of their type, or a fault names them."""

from __future__ import annotations

import pytest

from rules.requests import fields
from tests.asked import fault


@pytest.mark.parametrize("body", [None, [], "text", 1, True])
def test_a_body_is_an_object(body):
    """Whatever else JSON can be is bad."""
    assert fault(fields.body_of, body).status == 15


@pytest.mark.parametrize("value", [None, 0, 1, "true", [], {}])
def test_a_flag_is_true_or_false(value):
    """Nothing stands for it, null included."""
    told = fault(fields.boolean, {"Force": value}, "Force", default=False)

    assert (told.status, told.details) == (15, "Boolean value expected in field: Force")


@pytest.mark.parametrize("value", [None, True, 1.5, "1", 1 << 31])
def test_a_number_is_a_whole_one_of_32_bits(value):
    """A flag is none, and neither is a text."""
    assert fault(fields.integer, {"Priority": value}, "Priority", 0).status == 15


@pytest.mark.parametrize("value", [None, "PatientID", [1], {"a": "b"}, ["PatientID", None]])
def test_a_list_is_one_of_texts(value):
    """Every one of them."""
    assert fault(fields.texts, {"Keep": value}, "Keep", 8).status == 8


@pytest.mark.parametrize("value", [None, [], "x"])
def test_a_map_is_an_object(value):
    """As the body itself."""
    assert fault(fields.mapping, {"Replace": value}, "Replace").status == 8


def test_what_is_absent_has_its_default():
    """A field need not be sent."""
    assert fields.boolean({}, "Force", default=True)
    assert fields.integer({}, "Priority", 7) == 7
    assert fields.texts({}, "Keep") is None
    assert fields.text({}, "Transcode") is None
    assert fields.mapping({}, "Replace") == {}

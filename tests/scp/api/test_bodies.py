"""A body read as JSON: what two readers could understand differently is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.api.bodies import MAX_DEPTH, MAX_VALUES, parse_json
from scp.api.errors import Code, Fault
from tests.scp.api.serving import Client, guard, served, small_app

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
)


@given(values)
def test_what_is_written_is_read(value):
    """With and without escapes, and behind a byte order mark."""
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8-sig")) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"PatientName=CANARY",
        b'{"a": 1, "a": 2}',
        b"[NaN]",
        b"[-Infinity]",
        b"[1e999]",
        b'["\\ud800"]',
        b'{"\\ud800": 1}',
        b"\xff\xfe",
        b"9" * 5000,
        b"[" * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
    ],
    ids=range(14),
)
def test_what_is_no_plain_json_is_a_bad_file(text):
    """And none of it is quoted."""
    with pytest.raises(Fault) as told:
        parse_json(text)

    assert told.value.code is Code.BAD_FILE
    assert "CANARY" not in told.value.details


def test_the_deepest_that_is_allowed_is_read():
    """Far deeper than sequences of DICOM go."""
    depth = MAX_DEPTH - 1

    assert parse_json(b"[" * depth + b"]" * depth) is not None


@pytest.mark.parametrize("value", [b"[]", b"{}", b'{"a":0}', b"0"])
def test_more_values_than_anybody_needs_are_not_parsed(value):
    """Each takes far more memory than bytes; a text of any length is one."""
    with pytest.raises(Fault, match="values") as told:
        parse_json(b"[" + b",".join([value] * MAX_VALUES) + b",0]")

    assert told.value.http_status == 413
    assert parse_json(b'"' + b"x" * (2 * MAX_VALUES) + b'"') == "x" * (2 * MAX_VALUES)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "x"])
def test_the_content_type_makes_no_difference(kind):
    """What curl sends by default is a form by its name alone."""
    with served(small_app(guard())) as server:
        told = Client(server.address[1]).ask("POST", "/json", b'{"a": [1]}', Content_Type=kind)

    assert told.json == {"a": [1]}

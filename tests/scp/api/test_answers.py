"""Answers as Orthanc shapes them."""

from __future__ import annotations

import json

from scp.api.answers import answer, exact_moment, moment, nothing, plain, pretty


def test_json_is_for_people():
    """Sorted, indented, in UTF-8; and the same to a program."""
    written = pretty({"b": ["é"], "a": {}})

    assert written.decode() == '{\n   "a" : {},\n   "b" : [\n      "é"\n   ]\n}\n'
    assert json.loads(written) == {"a": {}, "b": ["é"]}


def test_half_a_character_does_not_fail_an_answer():
    """What a damaged instance says of itself must not cost the others."""
    assert json.loads(pretty(["\ud800"])) == ["?"]


def test_an_answer_says_what_it_is():
    """Its type and its encoding."""
    assert answer([]).headers["content-type"] == "application/json; charset=utf-8"
    assert plain("x").headers["content-type"] == "text/plain; charset=utf-8"
    assert (nothing(404).status_code, nothing(404).body) == (404, b"")


def test_a_moment_is_in_utc():
    """Whatever the zone of the machine."""
    assert moment(0) == "19700101T000000"
    assert exact_moment(1.25) == "19700101T000001.250000"

"""Answers as Orthanc shapes them."""

from __future__ import annotations

import gc
import json
import socket
import threading

from fastapi import FastAPI, Response

from scp.api.answers import Streamed, answer, exact_moment, moment, nothing, plain, pretty
from scp.api.server import Patience
from scp.api.stored import begun
from tests.scp.api.serving import served


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


def test_what_an_answer_is_read_from_is_closed_when_its_peer_is_cut_off():
    """At once: an open file must not wait until cycles are collected."""
    app, closed = FastAPI(), threading.Event()

    def without_end():
        try:
            while True:
                yield bytes(1 << 16)
        finally:
            closed.set()

    @app.get("/")
    def much() -> Response:
        return Streamed(begun(without_end()), "application/octet-stream")

    gc.collect()
    gc.disable()
    try:
        with (
            served(app, patience=Patience(check_every_s=0.1, strikes=1)) as server,
            socket.create_connection(server.address) as sock,
        ):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert closed.wait(5)
    finally:
        gc.enable()

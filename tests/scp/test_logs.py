"""What the node says of itself: fixed fields, no values, whoever speaks."""

from __future__ import annotations

import ast
import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from scp import logs
from scp.logs import FIELDS, TEXT_LIMIT, UnknownField

ROOT = Path(__file__).parents[2]
VALUE = "SMITH^JOHN"
SPEAKS = {"info", "warning", "error", "events", "_events", "_report_end"}


@pytest.fixture
def stream() -> io.StringIO:
    """Where the lines go."""
    stream = io.StringIO()
    logs.configure(stream, strict=True)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """The lines so far."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_fields(stream: io.StringIO) -> None:
    """One line each, with level and time."""
    logs.log().info("instance stored", instance="2.25.1", status="0x0000", duration_s=0.5)
    [line] = lines(stream)

    assert line.pop("timestamp")
    assert line == {
        "event": "instance stored",
        "level": "info",
        "instance": "2.25.1",
        "status": "0x0000",
        "duration_s": 0.5,
    }


def test_an_unknown_field_is_an_error_in_tests(stream: io.StringIO) -> None:
    """Whoever adds a field adds it to the list, where it is reviewed."""
    with pytest.raises(UnknownField, match="patient_name"):
        logs.log().info("instance stored", patient_name=VALUE)

    assert stream.getvalue() == ""


def test_an_unknown_field_is_dropped_loudly_in_service() -> None:
    """The value does not appear, the name does, and the line is an error."""
    stream = io.StringIO()
    logs.configure(stream)
    logs.log().info("instance stored", patient_name=VALUE, count=1)
    [line] = lines(stream)

    assert (line["level"], line["count"]) == ("error", 1)
    assert "patient_name" in str(line["reason"])
    assert VALUE not in stream.getvalue()


@pytest.mark.parametrize("text", ["A\r\nfake", "\x1b[31m", "\u2028", '"}{"event":"x'])
def test_a_line_cannot_be_broken(stream: io.StringIO, text: str) -> None:
    """T13: an AE title with control characters is one escaped field."""
    logs.log().warning("association rejected", calling_ae=text)
    [line] = lines(stream)

    assert line["calling_ae"] == text
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().isascii()


def test_long_texts_are_cut(stream: io.StringIO) -> None:
    """No peer decides how long a line is."""
    logs.log().info("association accepted", calling_ae="A" * 10_000)

    assert len(str(lines(stream)[0]["calling_ae"])) == TEXT_LIMIT


@pytest.mark.parametrize("value", [b"SMITH", ["SMITH"], ValueError("SMITH"), {"a": "SMITH"}])
def test_only_texts_and_numbers_are_written(stream: io.StringIO, value: object) -> None:
    """Whatever else it is says only what type it has."""
    logs.log().info("instance stored", reason=value)  # type: ignore[arg-type]

    assert lines(stream)[0]["reason"] == f"<{type(value).__name__}>"


def fail(error: Exception) -> None:
    """Raise it."""
    raise error


def test_an_exception_is_a_type_and_a_place(stream: io.StringIO) -> None:
    """Its text may quote a value, so nobody sees it."""
    try:
        fail(ValueError(VALUE))
    except ValueError as error:
        logs.log().error("a forwarder failed", **logs.of_error(error))
    [line] = lines(stream)

    assert line["error"] == "ValueError"
    assert str(line["place"]).startswith("test_logs.py:")
    assert VALUE not in stream.getvalue()


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    """There is nothing to say."""
    assert logs.place(ValueError(VALUE)) == ""


def test_levels_below_the_least_are_not_written() -> None:
    """A quiet log has what a person must do."""
    stream = io.StringIO()
    logs.configure(stream, level="error")
    logs.log().warning("instance refused")
    logs.log().error("delivery failed")

    assert [line["event"] for line in lines(stream)] == ["delivery failed"]


def test_libraries_say_where_but_not_what(stream: io.StringIO) -> None:
    """A library's line becomes one of ours, without its text."""
    logging.getLogger("sqlalchemy.engine").error("INSERT %s", VALUE)
    try:
        fail(KeyError(VALUE))
    except KeyError:
        logging.getLogger("somebody").exception("cannot find %s", VALUE)
    first, second = lines(stream)

    assert first["event"] == "a library logged something"
    assert (second["event"], second["error"]) == ("a library logged an error", "KeyError")
    assert VALUE not in stream.getvalue()


@pytest.mark.parametrize("name", ["pydicom", "pynetdicom", "pynetdicom.acse"])
def test_the_dicom_libraries_are_silent(stream: io.StringIO, name: str) -> None:
    """Their texts are datasets."""
    logging.getLogger(name).critical("dataset: %s", VALUE)

    assert stream.getvalue() == ""


def test_warnings_say_where_but_not_what(stream: io.StringIO) -> None:
    """A warning of pydicom quotes the value that it is about."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = logs._warned
        warnings.warn(f"Invalid value for VR DA: {VALUE}", UserWarning, stacklevel=1)
    [line] = lines(stream)

    assert (line["event"], line["error"]) == ("a library warned", "UserWarning")
    assert VALUE not in stream.getvalue()


DIES = """
import sys, threading, warnings
from scp import logs

logs.configure()
def fail(value):
    raise ValueError(value)
class Unraisable:
    def __del__(self):
        fail("SMITH^JOHN")
thread = threading.Thread(target=fail, args=("SMITH^JOHN",))
thread.start()
thread.join()
Unraisable()
warnings.warn("SMITH^JOHN")
fail("SMITH^JOHN")
"""


def test_nothing_that_dies_tells_a_value() -> None:
    """A thread, a destructor and the process itself: type and place, no text and no source."""
    done = subprocess.run(
        [sys.executable, "-c", DIES], capture_output=True, text=True, cwd=ROOT, check=False
    )
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]

    assert events == [
        "a thread ended because of an error",
        "an error could not be raised",
        "a library warned",
        "the process ends because of an error",
    ]
    assert done.returncode == 1
    assert VALUE not in done.stderr + done.stdout


def test_a_stream_that_is_gone_stops_nothing() -> None:
    """Lines are lost, instances are not."""
    stream = io.StringIO()
    logs.configure(stream)
    stream.close()

    logs.log().info("instance stored")


def calls() -> list[tuple[str, ast.Call]]:
    """Every place in the code that may write a line."""
    found = []
    for path in sorted((ROOT / "scp").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else None
            if name in SPEAKS and node.args:
                found.append((f"{path.name}:{node.lineno}", node))
    return found


def is_fixed(node: ast.expr) -> bool:
    """A text that is in the code as it stands."""
    if isinstance(node, ast.IfExp):
        return is_fixed(node.body) and is_fixed(node.orelse)
    return isinstance(node, ast.Constant | ast.Name)


def test_every_event_is_a_fixed_sentence() -> None:
    """No line is put together from what happens to be at hand."""
    found = calls()
    loose = [
        where
        for where, call in found
        if not is_fixed(call.args[0])
        or {word.arg for word in call.keywords if word.arg} - FIELDS.keys()
    ]

    assert len(found) > 20
    assert loose == []

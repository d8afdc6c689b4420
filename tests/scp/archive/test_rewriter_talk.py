"""What goes over the pipes comes back as it was, and anything else is told from it."""

from __future__ import annotations

from io import BytesIO

import pytest

from scp.archive import rewriter_talk as talk
from scp.archive.rewriter_talk import Lost, Setup, Task
from tests.scp.archive.archives import KEY
from tests.scp.archive.rewriting_apart import setup_of


def test_a_setup_comes_back_and_does_not_show_its_key(tmp_path) -> None:
    """Not even in a traceback."""

    class Here:
        data = tmp_path

    setup = setup_of(Here())

    assert Setup.from_json(setup.to_json()) == setup
    assert KEY.hex() not in repr(setup)
    assert repr(KEY) not in repr(setup)


def test_orders_come_back() -> None:
    """Recipes and chunks, one behind the other in one pipe, and then the end."""
    task = Task(7, "ab/c.dcm", 10, "d1", 344, "1.2.840.10008.1.2.1")
    pipe = BytesIO(
        talk.framed(talk.recipe_of("words")) + talk.framed(talk.chunk_of({task.number: task}))
    )

    assert talk.read_order(talk.read_frame(pipe)) == "words"
    assert talk.read_order(talk.read_frame(pipe)) == [task]
    assert talk.read_frame(pipe) is None


def test_a_frame_that_is_cut_short_is_the_end() -> None:
    """The node has died while it said it."""
    whole = talk.framed(b"words")

    assert [talk.read_frame(BytesIO(whole[:size])) for size in range(len(whole))] == [None] * len(
        whole
    )


def test_answers_come_back() -> None:
    """With facts or without."""
    assert talk.read_line(talk.line_of(3, b'["a\\tb"]')) == (3, b'["a\\tb"]')
    assert talk.read_line(talk.line_of(0)) == (0, b"")


@pytest.mark.parametrize("line", [b"", b"\n", b"7\n", b"x\t\n", b"7\t[", b"-1\t\n", b"fatal\n"])
def test_what_is_no_answer_is_told(line) -> None:
    """Such a process is of no use any more."""
    with pytest.raises(Lost):
        talk.read_line(line)

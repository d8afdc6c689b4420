"""The slow path: what pydicom reads and writes anew, and what that may cost."""

from __future__ import annotations

import tracemalloc

import pytest

from rules.elements import item
from rules.errors import DeidentificationError, Reason
from rules.repair import repaired
from tests.encoded import El, Form, encode, header

MIB = 1 << 20
MODALITY = El(0x00080060, "CS", b"CT")
CLASS = El(0x00080016, "UI", b"1.2\0")


def nested(depth: int, innermost: list[El]) -> list[El]:
    """A sequence in a sequence, and so on."""
    for _ in range(depth):
        innermost = [El(0x00081115, "SQ", [innermost])]
    return innermost


@pytest.mark.parametrize("form", [Form(implicit=False), Form(implicit=True)], ids=str)
def test_what_is_out_of_order_is_sorted_at_every_depth(form: Form):
    """And nothing else about it changes."""
    data = encode([*nested(20, [MODALITY, CLASS]), MODALITY], form)

    done = repaired(data, implicit=form.implicit)

    assert done == encode([MODALITY, *nested(20, [CLASS, MODALITY])], form)


def test_an_error_far_inside_does_not_grow_on_its_way_out():
    """T20: pydicom quotes an error in the next one, level by level, until no memory is left."""
    form = Form(implicit=False)
    data = encode([MODALITY, CLASS], form)
    for _ in range(280):
        items = item(data)
        data = header(0x00081115, "SQ", len(items), form) + items
    tracemalloc.start()
    try:
        with pytest.raises(DeidentificationError) as refused:
            repaired(data, implicit=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert refused.value.reason is Reason.UNREADABLE
    assert peak < 32 * MIB

"""What stands at a path into an instance: a value, the items of a sequence, the tags of an item.

    ""                          the tags of the instance
    0010-0010                   the bytes of a value
    0008-1140                   the numbers of the items
    0008-1140/0                 the tags of the first item
    7fe0-0010                   the numbers of the fragments; native pixel data as bytes
    7fe0-0010/1                 the bytes of a fragment, 0 is the offset table

Bytes are as the instance has them, padding included.

Source: PS3.5 7.5, A.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scp.archive.reading import dataset_of, fragments, span
from scp.archive.tag_json import is_sequence, items_of, raw_value
from scp.archive.tag_names import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

    from scp.archive.reading import PixelValue
    from scp.archive.resources import StoredInstance
    from scp.spool import Spool

Content = list[str] | bytes
"""A list of what is below, or a value."""


class NoContent(LookupError):
    """Nothing is at the path."""


def content(spool: Spool, instance: StoredInstance, path: str) -> list[str] | Iterator[bytes]:
    """What is at a path: a list of what is below, or a value in pieces.

    Raises:
        NoContent: nothing is.
        SpoolError: the instance cannot be read.
    """
    dataset, pixels = dataset_of(spool, instance)
    steps = [step for step in path.split("/") if step]
    if pixels is not None and steps and _tag(steps[0]) == pixels.tag:
        return _pixels(spool, instance, pixels, steps[1:])
    found = _below(dataset, steps)
    if isinstance(found, bytes):
        return iter([found])
    if pixels is not None and not steps:
        return [*found, _spelled(pixels.tag)]
    return found


def _below(dataset: Dataset, steps: list[str]) -> Content:
    while steps:
        tag, steps = _tag(steps[0]), steps[1:]
        if tag not in dataset:
            raise NoContent
        if not is_sequence(dataset, tag):
            if steps:
                raise NoContent
            return raw_value(dataset, tag)
        items = items_of(dataset, tag)
        if not steps:
            return [str(number) for number in range(len(items))]
        dataset, steps = items[_index(steps[0], len(items))], steps[1:]
    return [_spelled(int(tag)) for tag in sorted(dataset.keys())]


def _pixels(
    spool: Spool, instance: StoredInstance, pixels: PixelValue, steps: list[str]
) -> list[str] | Iterator[bytes]:
    if pixels.length is not None:
        if steps:
            raise NoContent
        return span(spool, instance, pixels.offset, pixels.length)
    found = list(fragments(spool, instance, pixels))
    if not steps:
        return [str(number) for number in range(len(found))]
    if len(steps) > 1:
        raise NoContent
    return span(spool, instance, *found[_index(steps[0], len(found))])


def _tag(name: str) -> int:
    try:
        return tag_of(name)
    except ValueError:
        raise NoContent from None


def _index(text: str, count: int) -> int:
    index = int(text) if text.isascii() and text.isdecimal() and len(text) < len("1000000") else -1
    if not 0 <= index < count:
        raise NoContent
    return index


def _spelled(tag: int) -> str:
    return f"{tag >> 16:04x}-{tag & 0xFFFF:04x}"

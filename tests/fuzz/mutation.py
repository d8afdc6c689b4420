"""Mutations of an encoded dataset that know what they hit: a length, a VR, a tag, a delimiter.

A dataset is taken apart into tokens, each a header, a value, an item or a delimiter, and what is
done to them is done in their own terms. The result may be anything but well formed.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tests import encoded
from tests.encoded import DEFLATED, HIDDEN, ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, SHORT_VRS
from tests.fuzz.seeds import Seed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.encoded import Element, Form

Tokens = list["Token"]


VRS = [*sorted(SHORT_VRS | LONG_VRS), "ZZ", "\0\0", "  ", "sq", "\xff\xff"]
TAGS = (
    *(0x00000000, 0x00000002, 0x00020000, 0x00020010, 0x00040000, 0x00080000, 0x00080001),
    *(0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080030, 0x00080060),
    *(0x00080201, 0x00081030, 0x00081140, 0x00090010, 0x00091001, 0x00100010, 0x00100020),
    *(0x00100030, 0x00101010, 0x00120062, 0x00120063, 0x00120064, 0x00180050, 0x0020000D),
    *(0x0020000E, 0x00280002, 0x00280008, 0x00280010, 0x00280100, 0x00280301, 0x00280303),
    *(0x00281201, 0x0040A040, 0x0040A043, 0x0040A120, 0x0040A160, 0x0040A168, 0x0040A730),
    *(0x04000550, 0x04000561, 0x50003000, 0x54000100, 0x60000010, 0x60003000, 0x7FE00001),
    *(0x7FE00008, 0x7FE00009, 0x7FE00010, 0x7FE10010, 0x88880000, 0xFFFAFFFA, 0xFFFCFFFC),
    *(ITEM, ITEM_END, SEQUENCE_END, 0xFFFE0000, 0xFFFF0001, 0xFFFFFFFF, 0x00290010, 0x2001001F),
)
LENGTHS = (0, 1, 2, 3, 4, 7, 8, 10, 0x7F, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF)
LONG_LENGTHS = (*LENGTHS, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
VALUES = (
    *(b"", b"\0", b" ", b"\\", b"\\" * 300, b"\0" * 300, b"\xff" * 8, b"A" * 70, b"^" * 12, b"="),
    *(b"ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"ISO_IR 192", b"GB18030", b"\\\\ISO 2022 IR 13"),
    *(b"\x1b$B\x1b(B", b"\x1b$)C\xb1\xe8", b"\x1b", b"\x1b$B;3ED^B@O:", b"\xe4\xb8", b"\xf8\x88"),
    *(b"1.2.840.10008.1.2", b"1.2.", b"1" * 64, b"1" * 66, b"..", b"../../x", b"2.25.0", b"0.0"),
    *(b"19000101", b"00000000", b"99991231", b"20200230", b"2020", b"-20200101", b"2020.01.01"),
    *(b"235960.999999", b"20201231235959.999999+1400", b"000Y", b"999Y", b"-1", b"1e999", b"NaN"),
    *(b"1e-999", b"+-1", b"9" * 40, b"0x10", b"1_0", b"\xd9\xa1", b"YES", b"DERIVED\\PRIMARY"),
    *(b"%s%n", b"{0}", b"\r\n{}", b"</a>", b"113100", b"SEPARATE", b"CONTAINER", b"MONOCHROME1"),
)


class Token(NamedTuple):
    """A piece of a dataset.

    Attributes:
        kind: head, value, item or end.
        data: Its bytes.
        depth: Of the sequence that it is in; what follows and is deeper belongs to it.
        form: How it is written.
    """

    kind: str
    data: bytes
    depth: int
    form: Form


def mutated(seed: Seed, chance: Random, others: tuple[Seed, ...]) -> Seed:
    """The seed after one to four blows; `others` are what may be spliced into it."""
    tokens = list(taken_apart(seed))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        if tokens:
            tokens = chance.choice(MUTATORS)(tokens, chance)
    if chance.random() < 0.6:
        tokens = measured(tokens)
    data = b"".join(token.data for token in tokens)
    if chance.random() < 0.15:
        data = _hit_anywhere(data, chance)
    if chance.random() < 0.05:
        data = _spliced(data, chance.choice(others).dataset, chance)
    syntax = chance.choice(others).syntax if chance.random() < 0.03 else seed.syntax
    return Seed(syntax, data)


def sent(seed: Seed, chance: Random) -> bytes:
    """The dataset as it goes over the wire; one that is deflated may be hit there, too."""
    if seed.syntax != DEFLATED:
        return seed.dataset
    packed = encoded.deflate(seed.dataset)
    return _hit_anywhere(packed, chance) if chance.random() < 0.1 else packed


# ---------------------------------------------------------------- taking apart


@cache
def taken_apart(seed: Seed) -> tuple[Token, ...]:
    """The tokens of a well-formed dataset; joined, they are the dataset."""
    return tuple(_elements(encoded.read(seed.dataset, seed.form), seed.form, 0))


def _elements(elements: tuple[Element, ...], form: Form, depth: int) -> Iterator[Token]:
    for element in elements:
        yield Token("head", element.data[element.start : element.value_start], depth, form)
        if element.items is None:
            yield Token("value", element.value, depth + 1, form)
            continue
        yield from _items(element, HIDDEN if element.vr == "UN" else form, depth + 1)


def _items(element: Element, form: Form, depth: int) -> Iterator[Token]:
    at = element.value_start
    for item in element.items or ():
        yield Token("item", element.data[at : at + 8], depth, form)
        yield from _elements(item.elements, form, depth + 1)
        at = item.elements[-1].end if item.elements else at + 8
        if item.undefined:
            yield Token("end", element.data[at : at + 8], depth + 1, form)
            at += 8
    if element.undefined:
        yield Token("end", element.data[at : element.end], depth, form)


def _block(tokens: Tokens, at: int) -> int:
    """Where the element or item that begins there ends."""
    end = at + 1
    while end < len(tokens) and tokens[end].depth > tokens[at].depth:
        end += 1
    return end


def _one(tokens: Tokens, chance: Random, *kinds: str) -> int:
    """The place of a token of such a kind; of any, if there is none."""
    places = [at for at, token in enumerate(tokens) if token.kind in kinds]
    return chance.choice(places or range(len(tokens)))


def _put(tokens: Tokens, at: int, data: bytes) -> Tokens:
    return [*tokens[:at], tokens[at]._replace(data=data), *tokens[at + 1 :]]


def measured(tokens: Tokens) -> Tokens:
    """The same where every header says how long it is, but for those that leave it open.

    Without it, most blows would be refused for a length that is wrong, and show nothing else.
    """
    sizes = [0]
    for token in tokens:
        sizes.append(sizes[-1] + len(token.data))
    return [
        _stating(token, sizes[_block(tokens, at)] - sizes[at + 1])
        if token.kind in {"head", "item"} and len(token.data) >= 8
        else token
        for at, token in enumerate(tokens)
    ]


def _stating(token: Token, length: int) -> Token:
    code = _length_code(token)
    size = struct.calcsize(code)
    now = token.data[-size:]
    new = struct.pack(code, length % (1 << 8 * size))
    if now in (new, b"\xff\xff\xff\xff"):
        return token
    return token._replace(data=token.data[:-size] + new)


def _length_code(token: Token) -> str:
    is_short = len(token.data) == 8 and token.kind == "head" and not token.form.implicit
    return token.form.order + ("H" if is_short else "I")


# ---------------------------------------------------------------- the blows


def change_length(tokens: Tokens, chance: Random) -> Tokens:
    """A header claims another length: a usual one, or one that is nearly right."""
    at = _one(tokens, chance, "head", "item", "end")
    token = tokens[at]
    code = _length_code(token)
    size = struct.calcsize(code)
    if len(token.data) < size:
        return tokens
    now = struct.unpack(code, token.data[-size:])[0]
    near = [now + step for step in (-8, -2, -1, 1, 2, 8)]
    rest = sum(len(other.data) for other in tokens[at + 1 :])
    wanted = chance.choice([*LONG_LENGTHS, *near, *near, rest, rest + 1])
    return _put(tokens, at, token.data[:-size] + struct.pack(code, wanted % (1 << 8 * size)))


def change_vr(tokens: Tokens, chance: Random) -> Tokens:
    """A header states another VR, at times with the other form of length."""
    at = _one(tokens, chance, "head")
    token = tokens[at]
    if len(token.data) < 8:
        return tokens
    vr = chance.choice(VRS)
    if chance.random() < 0.5:
        return _put(tokens, at, token.data[:4] + vr.encode("latin-1") + token.data[6:])
    length = chance.choice([len(tokens[at + 1].data) if at + 1 < len(tokens) else 0, *LENGTHS[:9]])
    code = "H" if vr in SHORT_VRS else "I"
    padding = b"" if vr in SHORT_VRS else b"\0\0"
    head = token.data[:4] + vr.encode("latin-1") + padding
    return _put(tokens, at, head + struct.pack(token.form.order + code, length))


def change_tag(tokens: Tokens, chance: Random) -> Tokens:
    """A header bears another tag, or the next one up or down."""
    at = _one(tokens, chance, "head", "head", "head", "item", "end")
    token = tokens[at]
    if len(token.data) < 4:
        return tokens
    group, number = struct.unpack(token.form.order + "HH", token.data[:4])
    near = (group << 16 | number) + chance.choice((-1, 1, 0x10000, -0x10000, 0x100))
    tag = chance.choice([*TAGS, near, near, near, chance.randrange(1 << 32)]) % (1 << 32)
    return _put(tokens, at, encoded.tag_bytes(tag, token.form) + token.data[4:])


def change_value(tokens: Tokens, chance: Random) -> Tokens:
    """A value becomes an odd one."""
    at = _one(tokens, chance, "value")
    value = chance.choice([*VALUES, chance.randbytes(chance.randrange(40)), tokens[at].data[1:]])
    if chance.random() < 0.3:
        value = tokens[at].data + value
    if chance.random() < 0.8:
        value += b" " * (len(value) % 2)
    return _put(tokens, at, value)


def delete(tokens: Tokens, chance: Random) -> Tokens:
    """An element, an item or a delimiter is gone."""
    at = _one(tokens, chance, "head", "item", "end")
    return tokens[:at] + tokens[_block(tokens, at) :]


def delete_token(tokens: Tokens, chance: Random) -> Tokens:
    """A header without its value, or a value without its header."""
    at = _one(tokens, chance)
    return tokens[:at] + tokens[at + 1 :]


def duplicate(tokens: Tokens, chance: Random) -> Tokens:
    """Something is there twice, or more often."""
    at = _one(tokens, chance, "head", "item", "end")
    end = _block(tokens, at)
    times = chance.choice((1, 1, 1, 2, 20))
    return tokens[:end] + tokens[at:end] * times + tokens[end:]


def move(tokens: Tokens, chance: Random) -> Tokens:
    """Something is somewhere else."""
    at = _one(tokens, chance, "head", "item", "end")
    end = _block(tokens, at)
    rest = tokens[:at] + tokens[end:]
    to = chance.randrange(len(rest) + 1)
    return rest[:to] + tokens[at:end] + rest[to:]


def nest(tokens: Tokens, chance: Random) -> Tokens:
    """Something is wrapped into sequences, up to deeper than any limit."""
    at = _one(tokens, chance, "head")
    end = _block(tokens, at)
    form = tokens[at].form
    inside = b"".join(token.data for token in tokens[at:end])
    tag = chance.choice((0x00081115, 0x0040A730, 0x00091002, 0x00081140))
    for _ in range(chance.choice((1, 2, 3, 15, 16, 17, 63, 64, 65, 300))):
        if len(inside) > 60_000:
            break
        inside = _wrapped(inside, tag, form, chance)
    return [*tokens[:at], tokens[at]._replace(kind="value", data=inside), *tokens[end:]]


def _wrapped(inside: bytes, tag: int, form: Form, chance: Random) -> bytes:
    is_open, is_item_open = chance.random() < 0.5, chance.random() < 0.5
    item_length = encoded.UNDEFINED if is_item_open else len(inside)
    item = encoded.header(ITEM, "", item_length, form) + inside
    if is_item_open:
        item += encoded.header(ITEM_END, "", 0, form)
    length = encoded.UNDEFINED if is_open else len(item)
    vr = "UN" if form == HIDDEN and chance.random() < 0.1 else "SQ"
    whole = encoded.header(tag, vr, length, form) + item
    return whole + encoded.header(SEQUENCE_END, "", 0, form) if is_open else whole


def insert(tokens: Tokens, chance: Random) -> Tokens:
    """A delimiter, an item, or a header of something that never comes."""
    at = _one(tokens, chance)
    form = tokens[at].form
    tag = chance.choice((ITEM, ITEM_END, SEQUENCE_END, chance.choice(TAGS)))
    length = chance.choice((0, 0, 4, encoded.UNDEFINED, chance.choice(LONG_LENGTHS)))
    vr = chance.choice(("UN", "OB", "SQ", "UT", "OW"))
    data = encoded.header(tag, vr, length, form)
    return [*tokens[:at], tokens[at]._replace(kind="head", data=data), *tokens[at:]]


def cut(tokens: Tokens, chance: Random) -> Tokens:
    """It ends early, at a boundary or inside a token."""
    at = _one(tokens, chance)
    last = tokens[at]
    return [*tokens[:at], last._replace(data=last.data[: chance.randrange(len(last.data) + 1)])]


MUTATORS = (
    *(change_length, change_length, change_vr, change_vr, change_tag, change_tag),
    *(change_value, change_value, change_value, delete, delete_token, duplicate, move, nest),
    *(insert, cut),
)


def _hit_anywhere(data: bytes, chance: Random) -> bytes:
    """Bytes are changed wherever they are."""
    hit = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not hit:
            break
        at = chance.randrange(len(hit))
        hit[at] = chance.choice((0, 0xFF, hit[at] ^ (1 << chance.randrange(8))))
    return bytes(hit)


def _spliced(data: bytes, other: bytes, chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]

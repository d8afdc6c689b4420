"""One operator per action code of PS3.15 Table E.1-1a and per Replace function.

An operator is small, stateless and describes itself. It is given the encoded value of one
element and returns the encoded value that takes its place; it never names a value when it
fails. Keeping, descending into a sequence and removing are verdicts that the walk carries
out itself, so they are constants here.

Source: PS3.15 E.1.1, E.3; PS3.5 6.2 for the dummies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol
from unicodedata import normalize

from rules import values
from rules.charsets import decoded
from rules.elements import element, item, padded
from rules.identity import Identity, no_identity
from rules.tables.dictionary import is_registered_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.errors import Reason
    from rules.pseudonyms import Pseudonyms

DUMMY_TEXT = "ANONYMIZED"
DUMMY_DATE = "19000101"
DUMMY_DATETIME = "19000101000000"
_DUMMIES: dict[str, bytes] = {
    "AS": b"000Y",
    "AT": bytes(4),
    "DA": DUMMY_DATE.encode(),
    "DS": b"0 ",
    "DT": DUMMY_DATETIME.encode(),
    "FD": bytes(8),
    "FL": bytes(4),
    "IS": b"0 ",
    "OB": bytes(2),
    "OD": bytes(8),
    "OF": bytes(4),
    "OL": bytes(4),
    "OV": bytes(8),
    "OW": bytes(2),
    "SL": bytes(4),
    "SS": bytes(2),
    "SV": bytes(8),
    "TM": b"000000",
    "UL": bytes(4),
    "UN": bytes(2),
    "UR": b"urn:anonymized",
    "US": bytes(2),
    "UV": bytes(8),
}


class Refusal(Exception):
    """An operator refuses the whole instance; the walk says where."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(str(reason))


@dataclass(slots=True)
class Context:
    """What an operator may know of the instance around its element.

    Attributes:
        pseudonyms: The keyed functions.
        implicit: How items are to be written.
        charsets: The values of Specific Character Set as received, empty for the default
            repertoire.
        patient: Whose the instance is, as a key for offsets: Patient ID with its issuer, or,
            without one, the Study Instance UID. An original value: never written.
        sibling: The encoded value of another element of the same level; empty when absent.
        identity: The patient's and the instance's own values, gathered when first asked for.
        offsets: Those of dates that were asked for, in days and seconds, by who asked.
        renaming: UIDs whose new names are settled, whatever the key makes of them; a name of
            its own means that it stays.
    """

    pseudonyms: Pseudonyms
    implicit: bool
    charsets: tuple[str, ...] = ()
    patient: str = ""
    sibling: Callable[[int], bytes] = lambda _: b""
    identity: Callable[[], Identity] = no_identity
    offsets: dict[object, tuple[int, int]] = field(default_factory=dict)
    renaming: Mapping[str, str] = field(default_factory=dict)


class Operator(Protocol):
    """What happens to one element."""

    @property
    def code(self) -> str:
        """The action code of PS3.15 Table E.1-1a: D Z X K C or U."""

    @property
    def constant(self) -> bool:
        """Whether the result is the same for every value, so that it may be remembered."""

    def describe(self) -> str:
        """A few words for `check` and `preview`."""

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """The encoded value, of even length, that replaces `value`.

        Args:
            vr: The VR the result is written with.
            value: The encoded value as received; empty when the element is absent or empty.
            context: Of the instance.

        Raises:
            ValueError: it cannot be done; the message does not quote the value.
        """


@dataclass(frozen=True, slots=True)
class Verdict:
    """Carried out by the walk, never applied."""

    code: str
    words: str
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return self.words

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """Nothing to apply: the walk decides by identity."""
        raise NotImplementedError(self.words)


KEEP = Verdict("K", "keep")
KEEP_FITTING = Verdict("K", "keep, if its value is one of the standard's VR")
KEEP_WHOLE = Verdict("K", "keep with all it holds, byte for byte")
DESCEND = Verdict("K", "keep, rules apply inside")
REMOVE = Verdict("X", "remove")


@dataclass(frozen=True, slots=True)
class Empty:
    """Z: present, of zero length."""

    code: str = "Z"
    constant: ClassVar[bool] = True

    def describe(self) -> str:
        """See Operator."""
        return "empty"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        return b""


@dataclass(frozen=True, slots=True)
class Dummy:
    """D: a value of the VR that says nothing."""

    code: str = "D"
    constant: ClassVar[bool] = True

    def describe(self) -> str:
        """See Operator."""
        return "dummy value"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        return _DUMMIES.get(vr) or padded(vr, DUMMY_TEXT.encode())


@dataclass(frozen=True, slots=True)
class RemapUID:
    """U: every value becomes a keyed UID; UIDs that the standard registers stay.

    An empty value stays empty, unless the action is D: `never_empty`.
    """

    scope: str
    never_empty: bool = False
    code: str = "U"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f"keyed UID, scope {self.scope}"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        originals = plain(value).split("\\")
        return padded("UI", "\\".join(self._one(uid, context) for uid in originals).encode())

    def _one(self, padded_uid: str, context: Context) -> str:
        uid = padded_uid.strip(" \0")
        settled = context.renaming.get(uid)
        if settled is not None:
            return settled
        if is_registered_uid(uid) or not (uid or self.never_empty):
            return uid
        return context.pseudonyms.uid(self.scope, uid)


@dataclass(frozen=True, slots=True)
class FollowUID:
    """A reference: UIDs with a new name get it, all else stays byte for byte."""

    code: str = "U"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return "follow what it refers to"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator; the very same object where nothing changes."""
        names = context.renaming
        originals = [uid.strip(" \0") for uid in plain(value).split("\\")]
        if names.keys().isdisjoint(originals):
            return value
        return padded("UI", "\\".join(names.get(uid, uid) for uid in originals).encode("latin-1"))


FOLLOW = FollowUID()


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """A keyed pseudonym of the value as a whole; `when_empty` takes the place of nothing.

    The key is applied to the text, not to its bytes: a patient has one pseudonym, whatever
    character set a modality writes.
    """

    scope: str
    when_empty: str = ""
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f"keyed pseudonym, scope {self.scope}"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        original = normalize("NFC", decoded(value, "\\".join(context.charsets)))
        if not original:
            return padded(vr, self.when_empty.encode())
        return padded(vr, context.pseudonyms.identifier(self.scope, original).encode())


@dataclass(frozen=True, slots=True)
class LiteralText:
    """Replace by a text in the instance's own character set."""

    text: str
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f'"{self.text}"' if self.text else "empty"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        return encode_literal(vr, self.text, context.charsets)


@dataclass(frozen=True, slots=True)
class Constant:
    """Replace by a value that is the same in every character set."""

    value: bytes
    words: str
    code: str = "D"
    constant: ClassVar[bool] = True

    def describe(self) -> str:
        """See Operator."""
        return self.words

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        return self.value


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence written anew; each item is its elements as (tag, VR, operator), ascending."""

    items: tuple[tuple[tuple[int, str, Operator], ...], ...]
    words: str
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return self.words

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        return b"".join(item(_encoded(elements, context)) for elements in self.items)


@dataclass(frozen=True, slots=True)
class AppendText:
    """A mark: one more value behind those that stand, unless it stands there already."""

    text: str
    code: str = "K"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f'append "{self.text}"'

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        mark = self.text.encode()
        standing = value.rstrip(b" \0")
        if mark in (one.strip() for one in standing.split(b"\\")):
            return value
        return padded(vr, standing + b"\\" + mark if standing else mark)


@dataclass(frozen=True, slots=True)
class AppendCodes:
    """A mark: items of a code sequence behind those that stand, each unless it stands already.

    `codes` are pairs of code value and meaning, of coding scheme DCM. The walk applies the
    rules to the items that stand before this is asked.
    """

    codes: tuple[tuple[str, str], ...]
    code: str = "K"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return "append " + ", ".join(f"{value} ({meaning})" for value, meaning in self.codes)

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        missing = [one for one in self.codes if _code_value(one[0], context) not in value]
        added = (code_items(one, "DCM", meaning) for one, meaning in missing)
        return value + b"".join(items.apply(vr, b"", context) for items in added)


def constant(vr: str, text: str) -> Constant:
    """A literal in the default repertoire, encoded once; always of VRs of text."""
    return Constant(padded(vr, text.encode("ascii")), f'"{text}"')


def literal(vr: str, text: str) -> Operator:
    """Replace by a literal; encoded here and now unless it needs the character set.

    Raises:
        ValueError: the VR cannot hold it.
    """
    if not text:
        return Empty()
    if vr in values.TEXT_VRS and not text.isascii():
        return LiteralText(text)
    return Constant(encode_literal(vr, text, ()), f'"{text}"')


def code_items(value: str, scheme: str, meaning: str) -> Items:
    """One item of the Code Sequence Macro (PS3.3 8.8)."""
    texts = ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning))
    elements = tuple((tag, vr, constant(vr, text)) for tag, vr, text in texts)
    return Items((elements,), f"one item: {value} ({scheme})")


def plain(value: bytes) -> str:
    """Bytes as text, one character a byte, so that any original can be keyed."""
    return value.decode("latin-1")


def encode_literal(vr: str, text: str, charsets: tuple[str, ...]) -> bytes:
    """A literal as its VR asks, in the character set of the instance.

    Raises:
        ValueError: the VR or the character set cannot hold it.
    """
    if vr in values.TEXT_VRS and not text.startswith(values.DATA_PREFIX):
        return values.encode_text(vr, text, charsets)
    return values.encode(vr, text)


def _code_value(value: str, context: Context) -> bytes:
    """Code Value (0008,0100) as every item of these marks has it."""
    return element(
        0x00080100, "SH", padded("SH", value.encode("ascii")), implicit=context.implicit
    )


def _encoded(elements: tuple[tuple[int, str, Operator], ...], context: Context) -> bytes:
    return b"".join(
        element(tag, vr, operator.apply(vr, b"", context), implicit=context.implicit)
        for tag, vr, operator in elements
    )

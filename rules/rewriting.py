"""One instance outside group 7FE0: read, judged, and rewritten by the plan of its SOP class.

- The plan is chosen once the SOP class is known; Reject rules are judged before anything else.
- A text that the character set of the instance cannot hold widens the instance to UTF-8; no
  character is ever dropped.
- Originals are gathered for the cleaning of text only when an operator asks, and stay here.

Source: PS3.15 E.1.1; PS3.3 C.12.1.1.2 (Specific Character Set).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from rules.elements import Irregular
from rules.errors import DeidentificationError, InstanceRefused, Reason
from rules.framing import Header
from rules.identity import collect
from rules.operators import Context
from rules.regions import Decision, decide
from rules.report import Root
from rules.values import Unencodable
from rules.walk import Walk
from rules.widening import widened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.operators import Operator
    from rules.plan import Plan, PrivateActions
    from rules.pseudonyms import Pseudonyms

_CHARSET, _SOP_CLASS, _SOP_INSTANCE = 0x00080005, 0x00080016, 0x00080018
_PATIENT_ID, _ISSUER, _STUDY = 0x00100020, 0x00100021, 0x0020000D
_CHARACTERISTICS = 0x00080300
# One UID as PS3.5 9.1 spells it; leading zeros, which it forbids, are seen and do no harm.
_UID = re.compile(r"[0-9][0-9.]{0,63}")
_ONE_VALUE = re.compile(r"[^\\]+")  # a replacement UID can be made of whatever stands there
_NOTHING = Decision()


@dataclass(frozen=True, slots=True)
class _Identity:
    """A UID that every instance must have, and what is wrong when it has not."""

    tag: int
    form: re.Pattern[str]
    missing: Reason
    differs: Reason


_IDENTITY = (
    _Identity(_SOP_CLASS, _UID, Reason.NO_SOP_CLASS, Reason.SOP_CLASS_DIFFERS),
    _Identity(_SOP_INSTANCE, _ONE_VALUE, Reason.NO_SOP_INSTANCE, Reason.SOP_INSTANCE_DIFFERS),
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the rewriting of one instance is bound to.

    Attributes:
        plan: The compiled profile, not yet of a SOP class.
        pseudonyms: The keyed functions.
        expected: SOP Class and SOP Instance UID of the request; None is not checked.
        implicit: Whether the dataset is in implicit VR.
        header_bytes: Limit of the header, also of one that was widened.
        depth: Limit of nested sequences.
        elements: Limit of elements over all levels.
    """

    plan: Plan
    pseudonyms: Pseudonyms
    expected: tuple[str | None, str | None]
    implicit: bool
    header_bytes: int
    depth: int
    elements: int

    def new_header(self) -> Header:
        """One that gathers under these limits."""
        return Header(implicit=self.implicit, size_limit=self.header_bytes, depth_limit=self.depth)


class Rewriting:
    """One instance, read once and then rewritten: header first, tail last."""

    def __init__(self, terms: Terms, data: bytes, header: Header) -> None:
        """Read and judge a header.

        Args:
            terms: As above.
            data: The root elements in front of group 7FE0.
            header: Their headers.

        Raises:
            InstanceRefused: a rule says so.
            DeidentificationError: it is not the instance of the request, or has no identity.
        """
        self._terms = terms
        self._data, self._header = data, header
        self.root = Root(
            data, {entry[0]: entry for entry in header.entries}, terms.plan, terms.implicit
        )
        self._judge()
        self.plan = self.root.plan = terms.plan.of_class(self.root.original(_SOP_CLASS))
        self.decision = self._decision()
        self._received = self._charsets = self._received_charsets()
        self._is_widened = False
        self._walk = Walk(self._context(), terms.depth, terms.elements)

    @property
    def counts(self) -> dict[str, int]:
        """Elements touched so far, by action code."""
        return dict(self._walk.counts)

    def header(self, overrides: Mapping[int, tuple[str, Operator]]) -> list[bytes]:
        """The rewritten header; may be asked for again, and is made anew.

        Args:
            overrides: By root tag: VR and operator that go before the plan's, and insert.

        Raises:
            InstanceRefused, DeidentificationError: an operator says so.
        """
        plan = self.plan.overridden(overrides) if overrides else self.plan
        self.root.plan = plan
        self._walk = self._new_walk()
        try:
            return self._written(plan)
        except Unencodable:
            self._widen()
        try:
            return self._written(plan)
        except Unencodable:  # half of a surrogate pair: no character, and nothing holds it
            raise DeidentificationError(Reason.OPERATOR) from None

    def tail(self, data: bytes, last_tag: int) -> list[bytes]:
        """Root elements behind group 7FE0, rewritten.

        Args:
            data: They, encoded.
            last_tag: The root tag they must be above.

        Raises:
            InstanceRefused, DeidentificationError: an operator says so.
        """
        self._walk.last_tag = max(self._walk.last_tag, last_tag)
        implicit, charsets = self._terms.implicit, self._received
        try:
            if self._is_widened:
                data = widened(data, implicit=implicit, charsets=charsets, declare=False)
            return self._walk.root(data, self.plan, insert=False)
        except Irregular as found:
            raise DeidentificationError(Reason.UNREADABLE, found.tag) from None
        except Unencodable:  # the header, which names the character set, is written already
            raise DeidentificationError(Reason.OPERATOR) from None

    def _judge(self) -> None:
        root = self.root
        for judged, expected in zip(_IDENTITY, self._terms.expected, strict=True):
            found = root.original(judged.tag)
            if not judged.form.fullmatch(found):
                raise DeidentificationError(judged.missing, judged.tag)
            if expected is not None and found != expected.strip(" \0"):
                raise DeidentificationError(judged.differs, judged.tag)
        for condition in root.plan.rejects:
            if condition.matches(root.lookup):
                raise InstanceRefused(Reason.REJECTED, condition.tests[0][0])

    def _decision(self) -> Decision:
        policy = self.plan.pixels
        return decide(policy, self.root.lookup, self.root.items) if policy.looks else _NOTHING

    def _received_charsets(self) -> tuple[str, ...]:
        root = self.root
        return tuple(root.original(_CHARSET).split("\\")) if root.has(_CHARSET) else ()

    def _new_walk(self) -> Walk:
        terms = self._terms
        walk = Walk(self._context(), terms.depth, terms.elements)
        declared = self._declared()
        if declared is not None:
            walk.private = declared
        return walk

    def _context(self) -> Context:
        root = self.root
        data, implicit, charsets = self._data, self._terms.implicit, self._charsets
        entries = self._header.entries
        return Context(
            self._terms.pseudonyms,
            implicit,
            charsets,
            patient=_patient(root),
            identity=cache(
                lambda: collect(data, implicit=implicit, charsets=charsets, entries=entries)
            ),
            renaming=self._terms.plan.renaming,
        )

    def _declared(self) -> PrivateActions | None:
        """What the instance says of its own private elements, where the profile trusts it."""
        private = self.plan.private
        if private.characteristics is None or not self.root.has(_CHARACTERISTICS):
            return None
        items = self.root.content(_CHARACTERISTICS)
        said = private.characteristics.actions(items, implicit=self._terms.implicit)
        return private.with_entries(said)

    def _written(self, plan: Plan) -> list[bytes]:
        walk = self._walk
        walk.ends = self._header.ends
        buffers = walk.root(self._data, plan, insert=True, entries=self._header.entries)
        walk.ends = {}
        self.root.captured = walk.captured
        return buffers

    def _widen(self) -> None:
        """The same instance in UTF-8, to be walked again from its beginning."""
        terms = self._terms
        data = widened(self._data, implicit=terms.implicit, charsets=self._charsets)
        header = terms.new_header()
        if not header.feed(data):
            header.finish()
        plan = self.root.plan
        entries = {entry[0]: entry for entry in header.entries}
        self._data, self._header = data, header
        self.root = Root(data, entries, plan, terms.implicit)
        self._charsets, self._is_widened = ("ISO_IR 192",), True
        self._walk = self._new_walk()


def _patient(root: Root) -> str:
    """Whose the instance is: Patient ID with its issuer, or without one its study."""
    number = root.lookup(_PATIENT_ID)
    if number and number.strip():
        return f"{number.strip()}\0{(root.lookup(_ISSUER) or '').strip()}"
    return root.original(_STUDY)

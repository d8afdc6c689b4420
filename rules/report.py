"""What an instance has become: the identity and main attributes of the result.

Nothing here is an original value: an attribute is read from what was written, or from what
was received only where the plan keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules import values
from rules.charsets import decoded
from rules.elements import (
    UNDEFINED,
    Incomplete,
    Irregular,
    TooDeep,
    item_values,
    undefined_end,
)
from rules.operators import DESCEND, FOLLOW, KEEP, KEEP_FITTING, KEEP_WHOLE, plain
from rules.tables.dictionary import keyword_of, vr_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.elements import Header
    from rules.plan import Plan

_CHARSET, _SOP_CLASS, _SOP_INSTANCE = 0x00080005, 0x00080016, 0x00080018
_PATIENT_ID, _MODALITY = 0x00100020, 0x00080060
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_KEPT = (KEEP, KEEP_FITTING, KEEP_WHOLE, DESCEND, FOLLOW)
_DEPTH = 64

# What an archive shows of patients, studies, series and instances (PS3.4 C.6.1.1).
MAIN_TAGS = (
    0x00080005,
    0x00080016,
    0x00080018,
    0x00080020,
    0x00080021,
    0x00080030,
    0x00080031,
    0x00080050,
    0x00080060,
    0x00080070,
    0x00080080,
    0x00080090,
    0x00081010,
    0x00081030,
    0x0008103E,
    0x00100010,
    0x00100020,
    0x00100030,
    0x00100040,
    0x00180015,
    0x00181030,
    0x0020000D,
    0x0020000E,
    0x00200010,
    0x00200011,
    0x00200012,
    0x00200013,
    0x00280008,
)


_KEYWORDS = {tag: keyword_of(tag) for tag in MAIN_TAGS}


@dataclass(frozen=True, slots=True)
class Report:
    r"""One de-identified instance; every text is of the result, empty where absent.

    `actions` counts the elements touched, by action code (PS3.15 Table E.1-1a); `tags` are
    the main attributes by keyword, decoded, with `\` between values; `rule_set` is the digest
    of the plan; `is_lossy` says that the pixels were encoded with loss on the way, so that they
    are not those of any other instance (PS3.3 C.7.6.1.1.5).
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    modality: str
    transfer_syntax_uid: str
    actions: Mapping[str, int]
    tags: Mapping[str, str]
    rule_set: str = ""
    is_lossy: bool = False


@dataclass(slots=True)
class Root:
    """The root elements in front of group 7FE0, before and after."""

    data: bytes
    entries: Mapping[int, Header]
    plan: Plan
    implicit: bool = False
    captured: Mapping[int, bytes] = field(default_factory=dict)

    def has(self, tag: int) -> bool:
        """Whether it was received, empty or not."""
        return tag in self.entries

    def original(self, tag: int) -> str:
        """As received, byte for character, without padding; empty when absent."""
        return plain(self._received(tag)).strip(" \0")

    def lookup(self, tag: int) -> str | None:
        """As received, decoded; None when absent."""
        if tag not in self.entries:
            return None
        # Of `US or SS` the sign hardly ever matters, and nothing here says which it is.
        vr = (vr_of(tag) or "").split(" or ")[0]
        if vr in values.NUMBER_VRS:
            return values.numbers(vr, self._received(tag))
        return decoded(self._received(tag), self.original(_CHARSET))

    def content(self, tag: int) -> bytes:
        """The items of a sequence as received; empty when absent."""
        if tag not in self.entries:
            return b""
        _, vr, _, value, length = self.entries[tag]
        if length != UNDEFINED:
            return self.data[value : value + length]
        stop = undefined_end(self.data, value, vr, implicit=self.implicit, depth=_DEPTH)
        return self.data[value:stop]

    def items(self, tag: int) -> list[dict[int, bytes]]:
        """The items of a sequence as received: encoded values by tag; none if unreadable."""
        implicit = self.implicit or (tag in self.entries and self.entries[tag][1] == b"UN")
        try:
            return list(item_values(self.content(tag), implicit=implicit, depth=_DEPTH))
        except (Incomplete, Irregular, TooDeep):
            return []

    def text(self, tag: int) -> str:
        """As written; empty when absent."""
        return decoded(self._result(tag), plain(self._result(_CHARSET)).strip(" \0"))

    def texts(self) -> dict[int, str]:
        """The main attributes as written, those that are present."""
        charsets = plain(self._result(_CHARSET)).strip(" \0")
        present = [tag for tag in MAIN_TAGS if tag in self.entries or tag in self.captured]
        return {tag: decoded(self._result(tag), charsets) for tag in present}

    def _received(self, tag: int) -> bytes:
        if tag not in self.entries:
            return b""
        _, _, _, value, length = self.entries[tag]
        return self.data[value : value + length] if length != UNDEFINED else b""

    def _result(self, tag: int) -> bytes:
        if tag in self.captured:
            return self.captured[tag]
        return self._received(tag) if self.plan.actions[tag] in _KEPT else b""


def report(
    root: Root | None,
    counts: Mapping[str, int],
    transfer_syntax_uid: str,
    *,
    is_lossy: bool = False,
) -> Report:
    """The report of a finished instance."""
    texts = root.texts() if root else {}
    return Report(
        sop_class_uid=texts.get(_SOP_CLASS, ""),
        sop_instance_uid=texts.get(_SOP_INSTANCE, ""),
        study_instance_uid=texts.get(_STUDY, ""),
        series_instance_uid=texts.get(_SERIES, ""),
        patient_id=texts.get(_PATIENT_ID, ""),
        modality=texts.get(_MODALITY, ""),
        transfer_syntax_uid=transfer_syntax_uid,
        actions=counts,
        tags={_KEYWORDS[tag]: text for tag, text in texts.items() if text},
        rule_set=root.plan.digest if root else "",
        is_lossy=is_lossy,
    )

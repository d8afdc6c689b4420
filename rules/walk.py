"""The walk: encoded elements in, encoded elements out, by a plan.

- A kept element is copied byte for byte; runs of kept elements are copied as one slice.
- Only a touched value is decoded, and only by its operator.
- A rule for a sequence itself comes first; a kept sequence is descended. Sequences and items
  keep their form of length: a defined one is counted anew, an undefined one stays.
- What is kept for being as the standard has it must be so: a sequence that is announced as
  something else, or the reverse, goes.
- Group lengths go. A private creator stays exactly when an element of its block stays.
- What is not ascending, not inside its parent or not of a known VR raises; nothing is guessed.

Source: PS3.5 7.1, 7.5, 7.8; PS3.15 E.1.1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from rules.blocks import HOLD, ITEMS_OR_NOTHING, MAYBE_ITEMS, Blocks
from rules.elements import (
    IMPLICIT,
    ITEM,
    ITEM_END,
    ITEM_END_BYTES,
    ITEM_START,
    LENGTH,
    SEQUENCE_END,
    SEQUENCE_END_BYTES,
    UNDEFINED,
    Incomplete,
    Irregular,
    TooDeep,
    _item_end,
    element,
    header,
    headers,
    is_items,
    undefined_end,
)
from rules.errors import DeidentificationError, InstanceRefused, Reason
from rules.fitting import LEGAL, fits_tag
from rules.operators import (
    DESCEND,
    FOLLOW,
    KEEP,
    KEEP_FITTING,
    KEEP_WHOLE,
    REMOVE,
    AppendCodes,
    Refusal,
    plain,
)
from rules.plan import PrivateActions
from rules.private import Guarded, Written
from rules.reservations import reserved
from rules.tables.dictionary import vr_of
from rules.values import Unencodable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.elements import Header
    from rules.operators import Context, Operator
    from rules.plan import Chooser, Plan

_DELIMITERS = 0xFFFE0000
_SEQUENCE_VRS = frozenset((b"SQ", b"UN", b""))
_SIZE_OF_LENGTH = 4
_NO_BLOCKS = Blocks(PrivateActions({}, REMOVE), b"", [])  # of every level without private elements
_REMEMBERED = 1 << 12


@dataclass(slots=True)
class Walk:
    """One instance under way.

    Attributes:
        context: Handed to operators.
        depth_limit: Levels of sequences allowed.
        elements_left: Elements that may still be visited, over all levels.
        last_tag: The root tag the next one must be above.
        ends: Where root values of undefined length end, as far as that is known, by tag.
        captured: Values that operators wrote at the root, by tag.
        counts: Elements touched, by action code.
        private: What happens to private elements at every depth; None leaves it to the plan.
    """

    context: Context
    depth_limit: int
    elements_left: int
    last_tag: int = -1
    ends: Mapping[int, int] = field(default_factory=dict)
    captured: dict[int, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    private: PrivateActions | None = None
    _implicit_context: Context = field(init=False)

    def __post_init__(self) -> None:
        self._implicit_context = replace(self.context, implicit=True)

    def root(
        self,
        data: bytes,
        plan: Plan,
        *,
        insert: bool,
        entries: Iterable[Header] | None = None,
    ) -> list[bytes]:
        """Rewrite whole root elements; their tags go on ascending from call to call.

        Args:
            data: The elements, nothing else.
            plan: Of the root.
            entries: Their headers, if they were read before.
            insert: Whether the plan's inserts are written among these.

        Raises:
            DeidentificationError: truncated, too deep, too many, or an operator failed.
            InstanceRefused: an operator says so.
            Unencodable: the character set of the instance cannot hold a result.
            Irregular: may be repaired on the slow path.
        """
        level = _Level(self, data, plan, 0, implicit=self.context.implicit, insert=insert)
        level.last = self.last_tag
        try:
            resume = [0]
            if entries is None:
                implicit = self.context.implicit
                entries = headers(data, 0, len(data), resume, implicit=implicit)
            if data:
                level.run(entries, resume, len(data))
        except Incomplete:
            raise DeidentificationError(Reason.TRUNCATED) from None
        except TooDeep:
            raise DeidentificationError(Reason.TOO_DEEP) from None
        finally:
            # Else the two would keep one another, and the header, until cycles are collected.
            self.context.sibling = self._implicit_context.sibling = _no_sibling
        self.last_tag = level.last
        return level.out

    def context_of(self, *, implicit: bool) -> Context:
        """The context for elements written in this VR form (a UN hides implicit ones)."""
        return self._implicit_context if implicit else self.context

    def visited(self, count: int) -> None:
        """Count elements against the limit."""
        self.elements_left -= count
        if self.elements_left < 0:
            raise DeidentificationError(Reason.TOO_MANY_ELEMENTS)


def _no_sibling(_: int) -> bytes:
    """Of no level."""
    return b""


class _Level:
    """The elements of the root or of one item."""

    __slots__ = (
        "_additions",
        "_blocks",
        "_bounds",
        "_data",
        "_depth",
        "_implicit",
        "_inserts",
        "_plan",
        "_private",
        "_values",
        "_walk",
        "last",
        "out",
    )

    def __init__(
        self, walk: Walk, data: bytes, plan: Plan, depth: int, *, implicit: bool, insert: bool
    ) -> None:
        self._walk = walk
        self._data = data
        self._plan = plan
        self._depth = depth
        self._implicit = implicit
        self._inserts = list(plan.inserts) if insert else []
        self._additions = plan.additions if insert else ()
        self._private = walk.private or plan.private
        self._bounds = (0, 0)
        self._values: dict[int, tuple[int, int]] | None = None
        self.last = -1
        self.out: list[bytes] = []
        private = self._private
        self._blocks = _NO_BLOCKS if private.keeps_nothing else Blocks(private, data, self.out)

    def run(  # noqa: C901, PLR0912 - the hot loop
        self, entries: Iterable[Header], resume: list[int], bound: int
    ) -> int:
        """Rewrite the elements that `entries` names.

        Args:
            entries: Their headers.
            resume: Where the first of them begins; told where each of undefined length ends.
            bound: Where they must end; 0 for an open item, which ends at its delimiter.

        Returns:
            The position behind what was read.
        """
        self._bounds = resume[0], bound
        if self._additions:
            self._reserve()
        data, out, actions = self._data, self.out, self._plan.actions
        keep, fitting, remove, undefined = KEEP, KEEP_FITTING, REMOVE, UNDEFINED  # faster
        legal, private = LEGAL, self._blocks.action
        no_private = self._blocks is _NO_BLOCKS
        attention = self._attention()
        last, visited, removed, run = self.last, 0, 0, resume[0]
        limit = bound or len(data)
        for tag, vr, pos, value, length in entries:
            if tag <= last:
                raise Irregular(tag)
            last = tag
            if tag >= attention:
                out.append(data[run:pos])
                run = pos
                if tag >= _DELIMITERS:
                    if tag != ITEM_END or bound:
                        raise Irregular(tag)
                    self._finish(last, visited, removed)
                    return value
                attention = self._insert_before(tag)
            visited += 1
            if tag & 0x10000:
                action = remove if no_private else private(tag, vr, value, length)
            else:
                action = actions[tag]
            if length != undefined:
                stop = value + length
                if stop > limit:
                    raise Irregular(tag) if self._depth else Incomplete
                if action is fitting:
                    if vr in legal[tag]:
                        continue
                elif action is keep and vr != b"SQ":
                    continue
                if action is remove:
                    if run < pos:
                        out.append(data[run:pos])
                    removed += 1
                    run = stop
                    continue
            if run < pos:
                out.append(data[run:pos])
            run = resume[0] = self._changed(tag, vr, pos, value, length, action)
        if not bound:
            raise Incomplete
        out.append(data[run:bound])
        self._finish(last, visited, removed)
        return bound

    def _finish(self, last: int, visited: int, removed: int) -> None:
        self.last = last
        self._insert_before(_DELIMITERS)
        self._walk.visited(visited)
        if self._blocks is not _NO_BLOCKS:
            removed += self._blocks.finish()
        if removed:
            self._walk.counts[REMOVE.code] += removed

    def _attention(self) -> int:
        """The next tag that is more than an element to look up."""
        return self._inserts[0][0] if self._inserts else _DELIMITERS

    def _insert_before(self, tag: int) -> int:
        """Write the inserts that belong before `tag`; one at `tag` itself is not absent."""
        while self._inserts and self._inserts[0][0] <= tag:
            inserted, vr, operator = self._inserts.pop(0)
            if inserted != tag:
                self._write(inserted, vr, b"", operator)
                if inserted & 0x10000:
                    self._blocks.stays(inserted)
        return self._attention()

    def _reserve(self) -> None:
        """Find a place for the private elements that the plan adds, each with its creator."""
        values = self._standing()
        private = [tag for tag in values if tag & 0x10000]
        texts = {tag: plain(bytes(self._data[slice(*values[tag])])) for tag in private}
        try:
            placed = reserved(self._additions, texts, self._private)
        except ValueError:
            raise DeidentificationError(Reason.OPERATOR) from None
        self._inserts = sorted([*self._inserts, *placed], key=itemgetter(0))
        own = {tag: Written(vr, operator) for tag, vr, operator in placed}
        self._private = replace(self._private, by_tag={**self._private.by_tag, **own})
        self._blocks = Blocks(self._private, self._data, self.out)

    def _changed(
        self, tag: int, vr: bytes, pos: int, value: int, length: int, action: Operator
    ) -> int:
        """Everything but plain keeping; returns where the element ends."""
        if action is KEEP_FITTING:
            action = self._fitting(tag, vr, value, length)
        if action is HOLD:
            self._blocks.hold(tag, pos, value + length)
            return value + length
        if action is MAYBE_ITEMS or action is ITEMS_OR_NOTHING:
            return self._maybe_items(tag, vr, pos, value, value + length, action)
        if action is DESCEND and vr not in _SEQUENCE_VRS:
            action = REMOVE  # the dictionary says sequence, the bytes say not: never guess
        if action is FOLLOW:
            action = self._following(vr, value, length)
        if action is KEEP or action is DESCEND:
            return self._descend(tag, vr, pos, value, length)
        stop = value + length if length != UNDEFINED else self._end(tag, value, vr)
        if action is KEEP_WHOLE:
            self.out.append(self._data[pos:stop])
        elif action is REMOVE:
            self._touched(tag, b"", REMOVE)  # the plan may have meant to keep it
        elif isinstance(action, AppendCodes):
            self._append(tag, vr, value, length, action)
        else:
            content = self._data[value:stop] if length != UNDEFINED else b""
            self._replace(tag, vr, content, action)
        return stop

    def _following(self, vr: bytes, value: int, length: int) -> Operator:
        """What following means for an element; most refer to nothing that has a new name."""
        if length == UNDEFINED or vr == b"SQ":
            return KEEP
        content = self._data[value : value + length]
        is_same = FOLLOW.apply("UI", content, self._walk.context) is content
        return KEEP_WHOLE if is_same else FOLLOW

    def _fitting(self, tag: int, vr: bytes, value: int, length: int) -> Operator:
        """What keeping means for an element that may not be as the standard has it."""
        if vr_of(tag) == "SQ":
            return DESCEND
        is_legal = vr in LEGAL[tag]
        if length == UNDEFINED:  # fragments are the only values without a length
            fragments = is_legal and not is_items(vr, implicit=self._implicit)
            return KEEP if fragments else REMOVE
        fits = is_legal or fits_tag(tag, vr, bytes(self._data[value : value + length]))
        return KEEP_WHOLE if fits else REMOVE

    def _end(self, tag: int, value: int, vr: bytes) -> int:
        if not self._depth and tag in self._walk.ends:
            return self._walk.ends[tag]
        left = self._walk.depth_limit - self._depth
        return undefined_end(self._data, value, vr, implicit=self._implicit, depth=left)

    def _replace(self, tag: int, vr: bytes, content: bytes, operator: Operator) -> None:
        """Write what an operator makes of a value; what is always the same is looked up."""
        if tag & 0x10000:  # a tag is not one thing: its block may be anybody's
            self._replace_private(tag, vr, content, operator)
            return
        encoded, key = self._plan.actions.encoded, (tag, vr, self._implicit)
        if key in encoded:
            written, new = encoded[key]
            self.out.append(written)
            self._touched(tag, new, operator)
            return
        new = self._write(tag, _written_vr(tag, vr), content, operator)
        if operator.constant and len(encoded) < _REMEMBERED:
            encoded[key] = (self.out[-1], new)

    def _replace_private(self, tag: int, vr: bytes, content: bytes, operator: Operator) -> None:
        if isinstance(operator, Guarded):
            self._write(tag, operator.written_vr(vr, content), content, operator.operator)
        elif isinstance(operator, Written):
            self._write(tag, operator.vr, content, operator.operator)
        else:
            self._write(tag, _written_vr(tag, vr), content, operator)

    def _write(
        self, tag: int, vr: str, content: bytes, operator: Operator, *, is_open: bool = False
    ) -> bytes:
        implicit = self._implicit
        try:
            context = self._walk.context_of(implicit=implicit)
            context.sibling = self._sibling
            new = operator.apply(vr, content, context)
            if is_open:
                head = header(tag, vr, UNDEFINED, implicit=implicit)
                self.out += (head, new, SEQUENCE_END_BYTES)
            else:
                self.out.append(element(tag, vr, new, implicit=implicit))
        except Unencodable:
            raise
        except Refusal as refusal:
            raise InstanceRefused(refusal.reason, tag) from None
        except Exception:  # noqa: BLE001 - whatever it was, its text may quote the value
            raise DeidentificationError(Reason.OPERATOR, tag) from None
        self._touched(tag, new, operator)
        return new

    def _touched(self, tag: int, new: bytes, operator: Operator) -> None:
        self._walk.counts[operator.code] += 1
        if not self._depth:
            self._walk.captured[tag] = new

    # --- siblings

    def _sibling(self, tag: int) -> bytes:
        """The value of another element of this level, as received; empty when absent."""
        start, stop = self._standing().get(tag, (0, 0))
        return self._data[start:stop]

    def _standing(self) -> dict[int, tuple[int, int]]:
        if self._values is None:
            self._values = self._scanned()
        return self._values

    def _scanned(self) -> dict[int, tuple[int, int]]:
        """Where the values of this level stand, as far as it can be read."""
        found: dict[int, tuple[int, int]] = {}
        start, bound = self._bounds
        resume = [start]
        entries = headers(
            self._data, start, bound or len(self._data), resume, implicit=self._implicit
        )
        try:
            for tag, vr, _, value, length in entries:
                if tag == ITEM_END:
                    break
                stop = value + length if length != UNDEFINED else self._end(tag, value, vr)
                found[tag] = value, stop
                resume[0] = stop
        except (Irregular, Incomplete, TooDeep):
            pass  # the walk comes there too, and says so
        return found

    # --- sequences

    def _descend(self, tag: int, vr: bytes, pos: int, value: int, length: int) -> int:
        """Keep a sequence, with the rules applied in each item; fragments stay as they are."""
        if length != UNDEFINED:
            buffers = self._items(tag, vr, value, value + length)[1]
            self.out.append(self._data[pos : value - _SIZE_OF_LENGTH] + _size(buffers))
            self.out += buffers
            return value + length
        if not is_items(vr, implicit=self._implicit):
            stop = self._end(tag, value, vr)
            self.out.append(self._data[pos:stop])
            return stop
        stop, buffers = self._items(tag, vr, value, None)
        self.out += (self._data[pos:value], *buffers, SEQUENCE_END_BYTES)
        return stop

    def _append(self, tag: int, vr: bytes, value: int, length: int, action: AppendCodes) -> None:
        """Add an item behind those that stand; those in a UN are in implicit VR, so is it."""
        end = None if length == UNDEFINED else value + length
        standing = b"".join(self._items(tag, vr, value, end)[1])
        if vr != b"UN":
            self._write(tag, "SQ", standing, action, is_open=length == UNDEFINED)
            return
        new = action.apply("SQ", standing, self._walk.context_of(implicit=True))
        head = header(tag, "UN", length if end is None else len(new), implicit=False)
        self.out += (head, new, SEQUENCE_END_BYTES if end is None else b"")

    def _items(self, tag: int, vr: bytes, pos: int, end: int | None) -> tuple[int, list[bytes]]:
        """The items between `pos` and `end`, or up to the sequence delimiter."""
        if self._depth >= self._walk.depth_limit:
            raise TooDeep
        data, index = self._data, 0
        buffers: list[bytes] = []
        implicit = self._implicit or vr == b"UN"
        bound = len(data) if end is None else end
        chooser = self._plan.choosers.get(tag)
        while end is None or pos < end:
            if pos + 8 > bound:
                raise Irregular(tag) if end is not None else Incomplete
            group, number, length = IMPLICIT.unpack_from(data, pos)
            found = group << 16 | number
            if found == SEQUENCE_END and end is None:
                return pos + 8, buffers
            if found != ITEM or (length != UNDEFINED and pos + 8 + length > bound):
                raise Irregular(tag)
            plan = self._plan.item(tag, index)
            start, stop = pos + 8, 0 if length == UNDEFINED else pos + 8 + length
            index += 1
            if chooser:
                chosen, behind = self._chosen(tag, chooser, plan, start, stop, implicit=implicit)
                if chosen is None:
                    self._walk.counts[REMOVE.code] += 1
                    pos = behind
                    continue
                plan = chosen
            level = _Level(self._walk, data, plan, self._depth + 1, implicit=implicit, insert=True)
            resume = [start]
            entries = headers(data, start, stop or len(data), resume, implicit=implicit)
            pos = level.run(entries, resume, stop)
            if length == UNDEFINED:
                buffers += (data[start - 8 : start], *level.out, ITEM_END_BYTES)
            else:
                buffers += (ITEM_START + _size(level.out), *level.out)
        return pos, buffers

    def _chosen(
        self, tag: int, chooser: Chooser, plan: Plan, start: int, stop: int, *, implicit: bool
    ) -> tuple[Plan | None, int]:
        """The plan of one item, and where what follows it begins."""
        data, behind, left = self._data, stop, self._walk.depth_limit - self._depth
        if not stop:
            behind = _item_end(data, start, implicit=implicit, depth=left)
            stop = behind - len(ITEM_END_BYTES)
        try:
            return chooser.choose(plan, data, start, stop, implicit=implicit), behind
        except (Irregular, Incomplete, TooDeep):
            raise
        except Exception:  # noqa: BLE001 - whatever it was, its text may quote the value
            raise DeidentificationError(Reason.OPERATOR, tag) from None

    def _maybe_items(
        self, tag: int, vr: bytes, pos: int, value: int, stop: int, action: Operator
    ) -> int:
        """A value of unknown VR: descended where it reads as items, else kept whole or removed."""
        try:
            buffers = self._items(tag, vr, value, stop)[1]
        except (Irregular, Incomplete):
            if action is MAYBE_ITEMS:
                self.out.append(self._data[pos:stop])
            else:
                self._walk.counts[REMOVE.code] += 1
        else:
            self._blocks.stays(tag)
            self.out.append(self._data[pos : value - _SIZE_OF_LENGTH] + _size(buffers))
            self.out += buffers
        return stop


def _size(buffers: list[bytes]) -> bytes:
    return LENGTH.pack(sum(map(len, buffers)))


def _written_vr(tag: int, received: bytes) -> str:
    """The dictionary's VR; where it leaves a choice or knows none, the one received."""
    known, stream = vr_of(tag), received.decode("ascii")
    if known is None:
        return stream or "UN"
    choices = known.split(" or ")
    return stream if stream in choices else choices[0]

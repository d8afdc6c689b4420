"""De-identifies a folder into another: the rules of a profile, without a network.

A result is named by its new UIDs, so that no name of the originals survives. What is no UID names
nothing: a profile that keeps UIDs cannot be made to write elsewhere. A result is written beside
its final name and gets that when whole, over nothing that exists; what is refused leaves nothing.
Compressed pixels that must be blanked are decoded apart, as on the network: each process of the
pool has one process for that, once it needs it.
"""

from __future__ import annotations

import errno
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rules import Deidentifier, Plan, Pseudonyms, RulesError, compile_plan
from scp import logs
from scp.dimse import is_uid
from scp.errors import ScpError
from scp.part10 import open_part10
from scp.pixel_worker import PixelWorker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rules import Report
    from rules.profile import Profile

_FILES_AT_A_TIME = 8
_PIECE_BYTES: Final = 1 << 20
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that has no hard links, such as one of a memory stick."""


class _NoPlace(ScpError):
    """A result that cannot be named by its UIDs."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one file: where its result lies, or why there is none."""

    source: Path
    result: Path | None
    refusal: str = ""


def deidentify_files(
    sources: Sequence[Path], target: Path, profile: Profile, key: bytes, processes: int | None
) -> Iterator[Done]:
    """De-identify files in parallel.

    Args:
        sources: Part 10 files.
        target: The folder of the results; made if absent.
        profile: Whose rules apply.
        key: Of the pseudonyms.
        processes: How many at once; None for one per processor.

    Yields:
        One outcome for each file, in order.
    """
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ProcessPoolExecutor(
        processes, initializer=_begin, initargs=(profile, key, target)
    ) as pool:
        yield from pool.map(_deidentify_one, sources, chunksize=_FILES_AT_A_TIME)


@dataclass(frozen=True, slots=True)
class _Work:
    plan: Plan
    pseudonyms: Pseudonyms
    target: Path
    pixels: PixelWorker


_work: list[_Work] = []
"""Of this worker process; a plan is compiled where it is used, it does not travel."""


def _begin(profile: Profile, key: bytes, target: Path) -> None:
    logs.configure(level="error")
    pixels = PixelWorker(processes=1)
    Finalize(None, pixels.close, exitpriority=0)
    _work[:] = [_Work(compile_plan(profile), Pseudonyms(key), target, pixels)]


def _deidentify_one(source: Path) -> Done:
    work = _work[0]
    draft = work.target / f".{os.getpid()}.part"
    try:
        return Done(source, _written(source, draft, work))
    except (RulesError, ScpError) as refusal:
        return Done(source, None, str(refusal))
    except OSError as error:
        return Done(source, None, error.strerror or type(error).__name__)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _written(source: Path, draft: Path, work: _Work) -> Path:
    file = open_part10(source)
    engine = Deidentifier(work.plan, work.pseudonyms, file.transfer_syntax_uid, blank=work.pixels)
    with draft.open("wb") as out:
        for chunk in file.chunks():
            out.writelines(engine.feed(chunk))
        last, report = engine.finish()
        out.writelines(last)
    path = work.target / _name(report)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _place(draft, path)
    return path


def _name(report: Report) -> Path:
    """Folders of study and series, and a file of the instance.

    Raises:
        _NoPlace: what would be a name is no UID.
    """
    study = _uid("Study Instance UID", report.study_instance_uid, absent="no-study")
    series = _uid("Series Instance UID", report.series_instance_uid, absent="no-series")
    instance = _uid("SOP Instance UID", report.sop_instance_uid)
    return Path(study, series, f"{instance}.dcm")


def _uid(name: str, text: str, *, absent: str = "") -> str:
    if absent and not text:
        return absent
    if not is_uid(text):
        raise _NoPlace(f"its {name} is not a UID")
    return text


def _place(draft: Path, path: Path) -> None:
    """Give a whole result its name.

    Raises:
        _NoPlace: other bytes have it.
    """
    try:
        _link(draft, path)
    except FileExistsError:
        if not _are_same(draft, path):
            raise _NoPlace("another file has this SOP Instance UID") from None


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.touch(exist_ok=False)  # the name is ours, and nobody else's result
        draft.rename(path)


def _are_same(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        while (piece := first.read(_PIECE_BYTES)) == second.read(_PIECE_BYTES):
            if not piece:
                return True
    return False

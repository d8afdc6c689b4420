"""What a client uploads, on its way through the rules: one instance, or a zip or gzip of some.

- Bytes are taken as they come, and only de-identified bytes are kept. A body that ends too early
  leaves nothing of the instance that was under way.
- Every instance passes the same reception as one that came by C-STORE.
- In an archive what is no DICOM file is passed over, as an archive in it is.

Source: PS3.10 7.1 (Part 10 files).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from rules.elements import Incomplete, Irregular, read_header
from rules.errors import DeidentificationError, InstanceRefused
from scp.api.errors import Code, Fault, fault_of
from scp.archive.identifiers import Level, identifier
from scp.archive.zipped import GZIP_MAGIC, MAGIC, BadArchive, Gunzip, Unzip
from scp.instance import Peer, StoreRequest
from scp.journal import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

    from scp.api.services import Services
    from scp.ingest import Reception
    from scp.instance import NewInstance

ORIGIN: Final = "RestApi"
"""What the journal says of an upload."""
_META_START: Final = 132
_META_GROUP: Final = b"\x02\x00"
_META_LIMIT_BYTES: Final = 1 << 20
_TRANSFER_SYNTAX: Final = 0x00020010
_CONFLICT_STATUS: Final = 409
_HELD_BYTES: Final = 16 << 20
_HELD_RATIO: Final = 100
_TOO_LARGE_STATUS: Final = 413


def address_of(request: Request) -> str:
    """IP address of who asks; empty if it is not known."""
    return request.client.host if request.client else ""


def opening(services: Services, address: str) -> Callable[[StoreRequest], Reception]:
    """What begins the reception of an instance that a client hands over.

    Args:
        services: The parts of the node.
        address: IP address of the client.
    """
    peer, route = Peer("", "", address, ORIGIN), services.upload_route()
    return lambda request: services.ingest.open_store(peer, route, request)


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of one file; exactly one of the two is there.

    Attributes:
        instance: As it is stored.
        known: Whether it was stored before.
        fault: Why it is not.
    """

    instance: NewInstance | None = None
    known: bool = False
    fault: Fault | None = None

    @property
    def answer(self) -> dict[str, object]:
        """As Orthanc answers; a file of an archive that was refused says why."""
        if self.instance is None:
            why = self.fault.details if self.fault else ""
            return {"ID": "", "Path": "", "Status": "FilteredOut", "Details": why}
        new = self.instance
        uids = (new.patient_id, new.study_instance_uid, new.series_instance_uid)
        own = identifier(*uids, new.sop_instance_uid)
        return {
            "ID": own,
            "ParentPatient": identifier(*uids[:1]),
            "ParentStudy": identifier(*uids[:2]),
            "ParentSeries": identifier(*uids),
            "Path": f"/{Level.INSTANCE.path}/{own}",
            "Status": "AlreadyStored" if self.known else "Success",
        }


class _Sink(Protocol):
    def feed(self, data: bytes, /) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class Upload:
    """The body of one request; `feed` it, then `finish` once, or `abandon` at any point.

    Attributes:
        is_archive: Whether it turned out to be a zip archive.
    """

    def __init__(self, open_store: Callable[[StoreRequest], Reception], limit_bytes: int) -> None:
        """Prepare.

        Args:
            open_store: Begins the reception of an instance.
            limit_bytes: Of one file.
        """
        self._open_store = open_store
        self._limit_bytes = limit_bytes
        self._landed: list[Landed] = []
        self._came_bytes = 0
        self._sink: _Sink = _Sniffer(self._chosen)
        self.is_archive = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            Fault: it is an archive that cannot be read, or beyond its limits.
        """
        self._came_bytes += len(data)
        try:
            self._sink.feed(data)
        except BadArchive as error:
            raise Fault(Code.BAD_FILE, _sentence(error)) from None

    def finish(self) -> list[Landed]:
        """Say that it is complete; what became of each file.

        Raises:
            Fault: as above.
        """
        try:
            self._sink.finish()
        except BadArchive as error:
            raise Fault(Code.BAD_FILE, _sentence(error)) from None
        return self._landed

    def abandon(self) -> None:
        """The rest never comes."""
        self._sink.abandon()

    def _chosen(self, start: bytes) -> _Sink:
        if start.startswith(GZIP_MAGIC):
            return Gunzip(_Sniffer(self._unpacked))
        return self._unpacked(start)

    def _unpacked(self, start: bytes) -> _Sink:
        if start.startswith(MAGIC):
            self.is_archive = True
            return Unzip(lambda: self._file(passing=True))
        return self._file(passing=False)

    def _file(self, *, passing: bool) -> _File:
        return _File(
            self._open_store, self._limit_bytes, self._most_held, self._landed, passing=passing
        )

    def _most_held(self) -> int:
        """What a file may hold in memory: little, however far the little that came unfolds."""
        return max(_HELD_BYTES, _HELD_RATIO * self._came_bytes)


class _Sniffer:
    """Holds back the first bytes until they say what takes them."""

    def __init__(self, choose: Callable[[bytes], _Sink]) -> None:
        self._choose = choose
        self._start = b""
        self._sink: _Sink | None = None

    def feed(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.feed(data)
            return
        self._start += data
        if len(self._start) >= len(MAGIC):
            self._decide()

    def finish(self) -> None:
        (self._sink or self._decide()).finish()

    def abandon(self) -> None:
        if self._sink is not None:
            self._sink.abandon()

    def _decide(self) -> _Sink:
        self._sink = self._choose(self._start)
        start, self._start = self._start, b""
        self._sink.feed(start)
        return self._sink


class _File:
    """One file: its meta information is read here, its dataset goes to a reception."""

    def __init__(
        self,
        open_store: Callable[[StoreRequest], Reception],
        limit_bytes: int,
        most_held: Callable[[], int],
        landed: list[Landed],
        *,
        passing: bool,
    ) -> None:
        self._open_store = open_store
        self._left = limit_bytes
        self._most_held = most_held
        self._landed = landed
        self._passing = passing
        self._start = bytearray()
        self._reception: Reception | None = None
        self._fault: Fault | None = None

    def feed(self, data: bytes) -> None:
        self._left -= len(data)
        if self._fault is not None:
            return
        if self._left < 0:
            self._give_up(_too_large())
        elif self._reception is not None:
            self._reception.feed(memoryview(data))
            if self._reception.held_bytes > self._most_held():
                self._give_up(_too_large())
        else:
            self._start += data
            self._begin()

    def finish(self) -> None:
        reception, self._reception = self._reception, None
        if reception is None:
            fault = self._fault or _no_dicom()
            if not (self._passing and fault.details == _NO_DICOM):
                self._landed.append(Landed(fault=fault))
            return
        reception.finish()
        self._landed.append(landed(reception))

    def abandon(self) -> None:
        reception, self._reception = self._reception, None
        if reception is not None:
            reception.abandon()

    def _give_up(self, fault: Fault) -> None:
        self._fault = fault
        self._start.clear()
        self.abandon()

    def _begin(self) -> None:
        """Open the reception as soon as the meta information is all there."""
        try:
            found = _meta(self._start)
        except Irregular:
            self._give_up(_no_dicom())
            return
        if found is None:
            if len(self._start) > _META_LIMIT_BYTES:
                self._give_up(_no_dicom())
            return
        transfer_syntax_uid, offset = found
        self._reception = self._open_store(StoreRequest(0, "", "", transfer_syntax_uid))
        start, self._start = bytes(self._start), bytearray()
        self._reception.feed(memoryview(start)[offset:])


def landed(reception: Reception) -> Landed:
    """What became of an instance whose reception is finished."""
    if reception.verdict is Verdict.CONFLICT:
        said = "Other content is stored under the SOP Instance UID that this one gets"
        return Landed(fault=Fault(Code.CANNOT_STORE, said, http_status=_CONFLICT_STATUS))
    if reception.instance is None or reception.failure is not None:
        return Landed(fault=_refusal(reception.failure))
    return Landed(reception.instance, known=reception.verdict is Verdict.KNOWN)


def _refusal(failure: Exception | None) -> Fault:
    if isinstance(failure, InstanceRefused | DeidentificationError):
        return Fault(Code.BAD_FILE, _sentence(failure))
    return fault_of(failure) if failure is not None else Fault(Code.INTERNAL)


def _too_large() -> Fault:
    said = "The file is larger than this node accepts"
    return Fault(Code.BAD_FILE, said, http_status=_TOO_LARGE_STATUS)


_NO_DICOM: Final = "Cannot parse an invalid DICOM file"


def _no_dicom() -> Fault:
    return Fault(Code.BAD_FILE, _NO_DICOM)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def _meta(data: bytearray) -> tuple[str, int] | None:
    """Transfer syntax and where the dataset starts; None while bytes are missing.

    Raises:
        Irregular: it is no Part 10 file, or names no transfer syntax.
    """
    if len(data) < _META_START:
        return None
    if data[_META_START - 4 : _META_START] != b"DICM":
        raise Irregular
    found, pos = "", _META_START
    while len(data) >= pos + len(_META_GROUP):
        if not data.startswith(_META_GROUP, pos):
            return _named(found), pos
        try:
            tag, _, value, length = read_header(data, pos, implicit=False)
        except Incomplete:
            return None
        pos = value + length
        if tag == _TRANSFER_SYNTAX and len(data) >= pos:
            found = data[value:pos].decode("latin-1").strip(" \0")
    return None


def _named(transfer_syntax_uid: str) -> str:
    if not transfer_syntax_uid:
        raise Irregular
    return transfer_syntax_uid

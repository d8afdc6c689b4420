"""Zip and gzip while they arrive."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.archive.zipped import BadArchive, Gunzip, Limits, Unzip

NAMES = st.text("abc/", min_size=1, max_size=8).map(lambda name: name.strip("/") or "x")
FILES = st.dictionaries(NAMES, st.binary(max_size=3000), max_size=5)


class Taken:
    """A sink that keeps what it gets."""

    def __init__(self, whole: list[bytes]) -> None:
        self.data = b""
        self.whole = whole
        self.abandoned = False

    def feed(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> None:
        self.whole.append(self.data)

    def abandon(self) -> None:
        self.abandoned = True


class Pipe(io.RawIOBase):
    """Where `zipfile` cannot go back, so that it writes sums behind the files."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.written += bytes(data)
        return len(data)


def zipped(files: dict[str, bytes], method: int, *, streamed: bool, zip64: bool = False) -> bytes:
    """An archive as `zipfile` writes it."""
    target = Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=zip64) as entry:
                entry.write(data)
    return target.written if streamed else target.getvalue()


def opened(data: bytes, step: int = 1 << 20, limits: Limits | None = None) -> list[bytes]:
    """The files of an archive that comes in steps."""
    whole: list[bytes] = []
    archive = Unzip(lambda: Taken(whole), limits)
    for start in range(0, len(data), step):
        archive.feed(data[start : start + step])
    archive.finish()
    return whole


@given(FILES, st.booleans(), st.booleans(), st.integers(1, 5000))
def test_every_file_comes_whole_however_the_archive_is_cut(files, streamed, zip64, step):
    """Deflated; sums before or behind the files, 32 or 64 bits."""
    data = zipped(files, zipfile.ZIP_DEFLATED, streamed=streamed, zip64=zip64)

    assert opened(data, step) == list(files.values())


@given(FILES, st.integers(1, 5000), st.booleans())
def test_stored_files_come_whole(files, step, zip64):
    """Without compression."""
    data = zipped(files, zipfile.ZIP_STORED, streamed=False, zip64=zip64)

    assert opened(data, step) == list(files.values())


@given(FILES.filter(bool), st.data())
def test_an_archive_that_is_cut_off_is_bad(files, data):
    """Wherever before its directory."""
    whole = zipped(files, zipfile.ZIP_DEFLATED, streamed=False)
    cut = data.draw(st.integers(0, whole.index(b"PK\x01\x02") - 1))

    with pytest.raises(BadArchive):
        opened(whole[:cut])


@given(st.binary(max_size=2000))
def test_noise_never_raises_anything_else(noise):
    """Behind the mark of an archive."""
    with suppress(BadArchive):
        opened(b"PK\x03\x04" + noise)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_changed_byte_is_noticed(method):
    """By the sum of the file."""
    data = bytearray(zipped({"a": b"hello" * 100}, method, streamed=False))
    data[14] ^= 1  # its CRC-32

    with pytest.raises(BadArchive, match="damaged"):
        opened(bytes(data))


def test_an_archive_that_inflates_too_far_is_refused():
    """As soon as it does, not at its end."""
    bomb = zipped({"a": bytes(3_000_000)}, zipfile.ZIP_DEFLATED, streamed=False)
    limits = Limits(ratio=10, free_bytes=1 << 20)

    with pytest.raises(BadArchive, match="more than the limit"):
        opened(bomb, limits=limits)
    assert len(opened(bomb)[0]) == 3_000_000


def test_an_archive_of_too_many_files_is_refused():
    """Before the first that is too many is opened."""
    files = {str(number): b"" for number in range(5)}
    data = zipped(files, zipfile.ZIP_DEFLATED, streamed=False)

    with pytest.raises(BadArchive, match="more files"):
        opened(data, limits=Limits(files=4))


@pytest.mark.parametrize(("field", "value"), [(6, 1), (8, 12), (8, 99)])
def test_what_is_encrypted_or_of_another_method_is_refused(field, value):
    """With a sentence that says so."""
    data = bytearray(zipped({"a": b"hello"}, zipfile.ZIP_DEFLATED, streamed=False))
    struct.pack_into("<H", data, field, value)

    with pytest.raises(BadArchive, match="encrypted"):
        opened(bytes(data))


def test_a_stored_file_without_a_size_is_refused():
    """Nothing would say where it ends."""
    data = bytearray(zipped({"a": b"hello"}, zipfile.ZIP_STORED, streamed=False))
    struct.pack_into("<H", data, 6, 8)

    with pytest.raises(BadArchive, match="does not say its size"):
        opened(bytes(data))


def test_abandoning_reaches_the_file_under_way():
    """It is told that the rest never comes."""
    sinks: list[Taken] = []

    def sink() -> Taken:
        sinks.append(Taken([]))
        return sinks[-1]

    archive = Unzip(sink)
    archive.feed(zipped({"a": b"hello" * 100}, zipfile.ZIP_STORED, streamed=False)[:100])
    archive.abandon()

    assert [one.abandoned for one in sinks] == [True]


@given(st.binary(max_size=5000), st.integers(1, 999))
def test_gzip_comes_whole(data, step):
    """However it is cut."""
    assert gunzipped(gzip.compress(data), step) == [data]


@given(st.lists(st.binary(max_size=500), min_size=1, max_size=5), st.integers(1, 999))
def test_members_of_gzip_are_one_file(members, step):
    """Wherever the bytes are cut: at the end of a member too."""
    packed = [gzip.compress(one) for one in members]

    assert gunzipped(b"".join(packed), step) == [b"".join(members)]
    assert gunzipped(b"".join(packed), len(packed[0])) == [b"".join(members)]


def gunzipped(packed: bytes, step: int) -> list[bytes]:
    """What comes out of gzip in pieces."""
    whole: list[bytes] = []
    stream = Gunzip(Taken(whole))
    for start in range(0, len(packed), step):
        stream.feed(packed[start : start + step])
    stream.finish()
    return whole


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b", gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"y", b"\x1f\x8b" * 20],
    ids=["nothing", "only the mark", "cut off", "more behind it", "noise"],
)
def test_gzip_that_is_damaged_is_refused(data):
    """Whatever is wrong with it."""
    stream = Gunzip(Taken([]))

    def run() -> None:
        stream.feed(data)
        stream.finish()

    with pytest.raises(BadArchive):
        run()


@pytest.mark.parametrize("step", [1, 21, 1000])
def test_what_follows_a_member_is_another_or_damage(step):
    """However it is cut; nothing is passed over."""
    with pytest.raises(BadArchive):
        gunzipped(gzip.compress(b"x") + b"yy", step)


def test_gzip_of_too_many_members_is_refused():
    """Empty ones cost time and inflate to nothing."""
    stream = Gunzip(Taken([]), Limits(files=3))

    with pytest.raises(BadArchive, match="more files than the limit"):
        stream.feed(gzip.compress(b"") * 4)


def test_gzip_that_inflates_too_far_is_refused():
    """By the same limits."""
    stream = Gunzip(Taken([]), Limits(ratio=10, free_bytes=1000))

    with pytest.raises(BadArchive, match="more than the limit"):
        stream.feed(gzip.compress(bytes(100_000)))

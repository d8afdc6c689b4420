"""No original word is at rest: not on the device, not where temporary files are, not in an answer.

A node works on a file system of its own, in a mount namespace with its own /tmp and /dev/shm. It
is sent words in every element of the dictionary and in every place where identity hides: over
DIMSE and HTTP, to be stored, forwarded, refused and broken off; jobs work on them; it is killed
and started again. Then the raw device is searched, deleted blocks included, and everything that
the node has said. A word that is written there on purpose is found.
"""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance import test_canary as words
from tests.acceptance.peers import Archive
from tests.acceptance.running import ANONODE, RunningNode
from tests.acceptance.test_canary import Instance
from tests.encoded import DEFLATED
from tests.scp import raw_peer
from tests.scp.api.serving import Client
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ROOM = "disk_low_bytes: 2000000, disk_high_bytes: 4000000"
CONFIG = (
    words.CONFIG.replace("ae_title: ANONODE,", f"ae_title: ANONODE, {ROOM},")
    + """
rest: {{listen: "127.0.0.1:0", profile: research, upload_limit_bytes: 100000000}}
"""
)
WHOLE_WORDS = (re.compile(rb"canary\d{8}(?:qx|\d\d)"), re.compile(rb"1\.2\.7\.1\d{9}"))
"""Words as they are planted; the beginning of one that a block has cut could be of any."""
MARKER = b"CANARY99999999QX"
IMAGE_BYTES = 256 << 20
KILLS = size(ci=2, nightly=20)
CHUNK_BYTES = 4 << 20
UPLOADED = [Instance(50), Instance(51, DEFLATED)]
ZIPPED = [Instance(53)]
BROKEN = [Instance(55)]
EACH = size(ci=2, nightly=1000)
"""Of how many patients, studies, series and instances everything is asked."""
KILLED = [Instance(60 + number) for number in range(KILLS)]
SECLUDED = 'mount -t tmpfs none /tmp && mount -t tmpfs none /dev/shm && exec "$@"'


@dataclass
class SecludedNode(RunningNode):
    """One whose /tmp and /dev/shm are its own."""

    def _spawn(self, notify: str) -> subprocess.Popen[bytes]:
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SECLUDED, "sh"]
        command += [ANONODE, "run", "--config", self.folder / "config.yaml"]
        with self.output.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "NOTIFY_SOCKET": notify},
            )

    def temporary_files(self) -> Iterator[Path]:
        """What it has left in its /tmp and /dev/shm, seen from outside."""
        for name in ("tmp", "dev/shm"):
            root = Path(f"/proc/{self.process.pid}/root") / name
            yield from (path for path in root.rglob("*") if path.is_file())


@dataclass
class Found:
    """The words that are there, by place."""

    words: dict[str, set[bytes]] = field(default_factory=dict)
    searched_bytes: int = 0

    def hear(self, place: str, content: bytes | str) -> None:
        content = content.encode() if isinstance(content, str) else content
        self.searched_bytes += len(content)
        lowered, known = content.lower(), self.words.setdefault(place, set())
        for kind in WHOLE_WORDS:
            known |= {word.upper() for word in kind.findall(lowered)}

    def hear_process(self, node: SecludedNode) -> None:
        """What the process shows of itself, and what it keeps beside its folder."""
        for name in ("environ", "cmdline"):
            self.hear(name, Path(f"/proc/{node.process.pid}/{name}").read_bytes())
        for path in node.temporary_files():
            self.hear(f"temporary {path.name}", path.read_bytes())

    def hear_device(self, image: Path) -> None:
        """Every byte of it, in pieces that overlap."""
        with image.open("rb") as file:
            before = b""
            while piece := file.read(CHUNK_BYTES):
                if piece.count(0) < len(piece):
                    self.hear("device", before + piece)
                before = piece[-32:]

    def leaked(self, kept: set[bytes]) -> dict[str, list[bytes]]:
        """The words that must not be there."""
        left = {place: sorted(words - kept) for place, words in self.words.items()}
        return {place: words for place, words in left.items() if words}


@contextmanager
def device(folder: Path) -> Iterator[tuple[Path, Path]]:
    """An empty file system: its image, and where it is; skipped where that cannot be."""
    image = folder / "device.img"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    place = Path(tempfile.mkdtemp(prefix="anonode-", dir="/run" if os.geteuid() == 0 else None))
    try:
        for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, place]):
            _run_or_skip(command)
        try:
            yield image, place
        finally:
            subprocess.run(["umount", place], check=False, capture_output=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        image.unlink()


def _run_or_skip(command: list[str | Path]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    if done.returncode:
        pytest.skip(f"{command[0]} cannot be used here: {done.stderr.strip()[:80]}")


def test_no_word_is_at_rest_anywhere(tmp_path, monkeypatch, figures):
    """T-RESTPHI: through every way in, every refusal, job, kill and restart: none is found."""
    found = Found()
    with device(tmp_path) as (image, place), Archive() as archive, socket.socket() as closed:
        _run_or_skip(["unshare", "--mount", "true"])
        monkeypatch.setattr(tempfile, "tempdir", str(place))  # the node does not see our /tmp
        closed.bind(("127.0.0.1", 0))  # and does not listen
        ports = {"archive": archive.port, "closed": closed.getsockname()[1]}
        node = SecludedNode(place / "node", CONFIG.format(**ports))
        with node:
            _send_everything(node, found)
            _work_on_it(Client(node.rest_port))
            found.hear_process(node)
            for instance in KILLED:
                _kill_while_it_arrives(node, instance, found)
            _ask_everything(Client(node.rest_port), found)
            assert archive.wait_for(len(words.ACCEPTED), 30)
            found.hear_process(node)
        _hear_folder(node, found)
        for content in (words._searchable(content) for _, content in archive.received):
            found.hear("forwarded", content)
        _write_and_remove(place / "on purpose")
        subprocess.run(["umount", place], check=True)
        found.hear_device(image)

    accepted = [*words.ACCEPTED, *UPLOADED, *ZIPPED]
    kept = set().union(*(instance.stay for instance in accepted))
    planted = set().union(*(one.gone for one in (*accepted, *BROKEN, *KILLED)))
    print(
        f"\n{len(planted)} words must go, {len(found.words)} places, {found.searched_bytes} bytes"
    )
    assert found.leaked(kept) == {"device": [MARKER]}  # which is there on purpose
    assert len(found.words["device"] & kept) > 1000  # so that the search finds what is there
    assert len(found.words["API"] & kept) > 1000
    assert len(planted) > 10_000
    figures(
        "T-RESTPHI",
        words=len(planted),
        places=len(found.words),
        searched_mib=found.searched_bytes >> 20,
        kills=KILLS,
        found=0,
    )


def _send_everything(node: RunningNode, found: Found) -> None:
    """By DIMSE and HTTP: what is accepted, refused, damaged and broken off."""
    for instance in words.ACCEPTED:
        args = (instance.uid, instance.dataset, instance.syntax, "CT1")
        assert words.send(node.port, *args) == words.SUCCESS
    for name, each in words.refused().items():
        assert each.send(node.port) == each.status, name
    words.hang_up(node.port)
    rest = Client(node.rest_port)
    for instance in UPLOADED:
        answer = rest.ask("POST", "/instances", instance.file())
        assert answer.status == 200
        found.hear("API", answer.body)
    answer = rest.ask("POST", "/instances", _zip(ZIPPED))
    assert answer.status == 200
    found.hear("API", answer.body)
    for instance in BROKEN:
        for damaged in _damaged(instance.file()):
            answer = rest.ask("POST", "/instances", damaged)
            assert answer.status in {200, 400}
            found.hear("API", answer.body)
        _break_off(node.rest_port, instance.file())


def _zip(files: list[Instance]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for instance in files:
            archive.writestr(
                f"CANARY{instance.number:02d}777777QX/{instance.uid}", instance.file()
            )
    return data.getvalue()


def _damaged(file: bytes) -> Iterator[bytes]:
    middle = len(file) // 2
    yield file[:middle]
    yield file[:middle] + b"\xff" * 99 + file[middle:]
    yield file[132:]
    yield b"PK\x03\x04" + file


def _break_off(port: int, file: bytes) -> None:
    """Half an upload, then nothing."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        length = f"Content-Length: {len(file)}"
        sock.sendall(f"POST /instances HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())
        sock.sendall(file[: len(file) // 2])


def _work_on_it(rest: Client) -> None:
    """Jobs of every kind on what is stored; each leaves new instances, some remove their own."""
    studies = rest.ask("GET", "/studies").json
    assert len(studies) >= 5
    done = [
        _ask(rest, f"/studies/{studies[0]}/anonymize", {"Keep": ["StudyDescription"]}),
        _ask(rest, f"/studies/{studies[1]}/modify", {"Replace": {"StudyDescription": "New"}}),
        _ask(rest, f"/studies/{studies[2]}/split", {"Series": _series(rest, studies[2])}),
        _ask(rest, f"/studies/{studies[3]}/merge", {"Resources": [studies[4]]}),
        _ask(rest, "/tools/bulk-anonymize", {"Resources": studies[:2]}),
    ]
    assert done == [200] * len(done)


def _series(rest: Client, study: str) -> list[str]:
    return rest.ask("GET", f"/studies/{study}").json["Series"]


def _ask(rest: Client, path: str, body: dict[str, object]) -> int:
    asked = json.dumps({"Synchronous": True, **body}).encode()
    return rest.ask("POST", path, asked).status


OF_LEVEL = ("", "/statistics", "/metadata?expand", "/labels", "/instances-tags", "/shared-tags")
OF_INSTANCE = ("/tags", "/simplified-tags", "/header", "/content", "/file", "/attachments")
ALONE = ("/system", "/statistics", "/changes", "/jobs?expand", "/modalities?expand", "/exports")


def _ask_everything(rest: Client, found: Found) -> None:
    """What the API says of all that it holds."""
    for path in ALONE:
        found.hear("API", rest.ask("GET", path).body)
    for level in ("patients", "studies", "series", "instances"):
        listed = rest.ask("GET", f"/{level}?expand")
        found.hear("API", listed.body)
        endings = OF_LEVEL + (OF_INSTANCE if level == "instances" else ())
        for one in listed.json[:EACH]:
            for ending in endings:
                answer = rest.ask("GET", f"/{level}/{one['ID']}{ending}")
                found.hear("API", words._searchable(answer.body))
    query = {"Level": "Instance", "Query": {"PatientName": "*"}, "Expand": True}
    found.hear("API", rest.ask("POST", "/tools/find", json.dumps(query).encode()).body)


def _kill_while_it_arrives(node: RunningNode, instance: Instance, found: Found) -> None:
    """Half of an instance by DIMSE and half by HTTP, then kill -9 and a new start."""
    with raw_peer.RawPeer(("127.0.0.1", node.port)) as peer:
        peer.associate()
        command = raw_peer.store_command(instance.uid)
        peer.send(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, 3, command)))
        for start in range(0, words.MIDDLE, 8192):
            fragment = instance.plain[start : start + 8192]
            peer.send(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, 0, fragment)))
        _break_off(node.rest_port, instance.file())
        found.hear_process(node)
        node.kill()
        with suppress(OSError):
            peer.read(1)
    node.start()


def _hear_folder(node: RunningNode, found: Found) -> None:
    for path in node.every_file():
        if path.name != "config.yaml":
            place = str(path.relative_to(node.folder)).partition("/")[0]
            found.hear(place, words._searchable(path.read_bytes()))


def _write_and_remove(path: Path) -> None:
    """A word that is on the device and in no file."""
    with path.open("wb") as file:
        file.write(MARKER)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()

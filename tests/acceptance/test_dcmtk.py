"""DCMTK on both sides of the node: what its storescu sends, its storescp and dcmdump can read.

Every readable file of pydicom's package and of the corpus is sent in its own transfer syntax,
de-identified by the basic profile and forwarded. What is refused must say why; `pytest -s`
prints the list.

A file whose SOP Instance UID another file has, too, goes under another calling AE title, whose
profile has pseudonyms of its own: nothing may overwrite, and nothing is left out.
"""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import threading
import time
import warnings
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset

from rules import Pseudonyms
from scp.bulk_send import send_files
from scp.errors import NotPart10, TransportError
from scp.journal import FILE_NAME
from scp.part10 import open_part10
from tests import driving, encoded, reference
from tests.acceptance.peers import Archive
from tests.acceptance.running import RunningNode
from tests.conftest import corpus_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

SCOPES = 12
CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
{profiles}
destinations:
  storescp: {{ae_title: STORESCP, host: 127.0.0.1, port: {storescp}, retry_base_s: 1}}
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive}, retry_base_s: 1}}
routes:
{routes}
"""
PROPOSAL = """
[[TransferSyntaxes]]
[Own]
TransferSyntax1 = {transfer_syntax}
[[PresentationContexts]]
[One]
PresentationContext1 = {sop_class}\\Own
[[Profiles]]
[File]
PresentationContexts = One
"""
HTJ2K = {f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203)}
"""DCMTK knows them from 3.6.8 on; where it does not, our own sender and an archive stand in."""
ROOT_UIDS = (0x00080018, 0x0020000D, 0x0020000E, 0x00200052)
SHORTEST = 4
"""Bytes of a value worth searching for; `1` or `M` is everywhere."""
PATIENCE_S = 60.0


@dataclass
class Case:
    """One file, how it is sent and what became of it.

    Attributes:
        scope: Number of the calling AE title and of the profile.
        sender: Which program has sent it.
        refusal: Why it was not accepted; empty if it was.
        result: The file that has arrived.
    """

    path: Path
    original: Dataset
    scope: int
    sender: str = "storescu"
    refusal: str = ""
    result: Path | None = None

    @property
    def calling(self) -> str:
        return f"{'HT' if self.transfer_syntax in HTJ2K else 'CT'}{self.scope}"

    @property
    def sop_class(self) -> str:
        return reference.text_of(self.original, reference.SOP_CLASS_UID)

    @property
    def sop_instance(self) -> str:
        return reference.text_of(self.original, reference.SOP_INSTANCE_UID)

    @property
    def transfer_syntax(self) -> str:
        return driving.transfer_syntax_of(self.path.read_bytes())

    @cached_property
    def before(self) -> dict[int, reference.Leaf | reference.Branch]:
        """The original as plain data."""
        return _flat(self.path)

    @cached_property
    def after(self) -> dict[int, reference.Leaf | reference.Branch]:
        """The result as plain data."""
        assert self.result
        return _flat(self.result)


def _flat(path: Path) -> dict[int, reference.Leaf | reference.Branch]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reference.flat(driving.read(path.read_bytes()))


def _cases() -> list[Case]:
    """Every file that pydicom reads and that is a storage instance."""
    packaged = (Path(name) for name in sorted(set(get_testdata_files())))
    seen: Counter[str] = Counter()
    cases = []
    for path in [*(path for path in packaged if path.is_file()), *corpus_files()]:
        case = Case(path, driving.read(path.read_bytes()), 1)
        if case.sop_class and case.sop_instance:
            seen[case.sop_instance] += 1
            case.scope = seen[case.sop_instance]
            cases.append(case)
    assert max(case.scope for case in cases) <= SCOPES
    return cases


# ---------------------------------------------------------------- the peers


@contextmanager
def _storescp(program: Path, folder: Path) -> Iterator[int]:
    """DCMTK's storescp, that keeps what it gets byte for byte; its port."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-pm", "+xa", "+B", "-aet", "STORESCP", "-od", str(folder), str(port)]
    with subprocess.Popen([program, *options], stderr=subprocess.DEVNULL) as process:
        try:
            assert _until(lambda: _listens(port), PATIENCE_S)
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def _until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether something in another process comes true within the limit."""
    end, pause = time.monotonic() + limit_s, threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.05)
    return True


def _config(storescp: int, archive: int) -> str:
    numbers = range(1, SCOPES + 1)
    profiles = [f"  p{number}: {{Base: basic, BurnedIn: keep}}" for number in numbers]
    routes = [
        f"  - {{from: {calling}{number}, profile: p{number}, forward: [{destination}]}}"
        for number in numbers
        for calling, destination in (("CT", "storescp"), ("HT", "archive"))
    ]
    return CONFIG.format(
        storescp=storescp,
        archive=archive,
        profiles="\n".join(profiles),
        routes="\n".join(routes),
    )


# ---------------------------------------------------------------- sending


@dataclass
class Run:
    """All files sent once, and what came of it."""

    cases: list[Case]
    folder: Path
    longest_s: float = 0.0
    undelivered: list[tuple[str, str]] = field(default_factory=list)

    @property
    def accepted(self) -> list[Case]:
        return [case for case in self.cases if not case.refusal]

    @property
    def refused(self) -> list[Case]:
        return [case for case in self.cases if case.refusal]


@pytest.fixture(scope="module")
def run(tmp_path_factory, peer):
    """Send every file through the node, and collect what arrived."""
    folder = tmp_path_factory.mktemp("dcmtk")
    found = Run(_cases(), folder)
    with (
        _storescp(peer("storescp"), folder / "storescp") as storescp,
        Archive() as archive,
        RunningNode(folder / "node", _config(storescp, archive.port)) as node,
    ):
        for case in found.cases:
            begun = time.monotonic()
            _send(peer("storescu"), node, case, folder)
            found.longest_s = max(found.longest_s, time.monotonic() - begun)
        _until(lambda: not _undelivered(node), PATIENCE_S)
        found.undelivered = _undelivered(node)
    arrived = {path.name.partition(".")[2]: path for path in (folder / "storescp").iterdir()}
    for uid, content in archive.received:
        arrived[uid] = folder / f"{uid}.dcm"
        arrived[uid].write_bytes(content)
    key = bytes.fromhex((node.data / "key").read_text())
    _assign(found, arrived, key)
    _print(found)
    return found


def _assign(found: Run, arrived: dict[str, Path], key: bytes) -> None:
    pseudonyms = Pseudonyms(key)
    for case in found.accepted:
        case.result = arrived.pop(pseudonyms.uid(f"p{case.scope}", case.sop_instance), None)
    assert arrived == {}, "what has arrived is not of an accepted file"


def _send(storescu: Path, node: RunningNode, case: Case, folder: Path) -> None:
    """Send a file with storescu, or, where that cannot read it, with our own sender."""
    log_bytes = node.output.stat().st_size
    said = _storescu(storescu, node, case, folder)
    if said is None:
        case.sender = "anonode"
        said = _own_sender(node, case)
    logged = "; ".join(_reasons(node.output.read_bytes()[log_bytes:]))
    case.refusal = f"{said}: {logged}" if said and logged else said


def _storescu(storescu: Path, node: RunningNode, case: Case, folder: Path) -> str | None:
    """Why the node refuses; empty if it does not, None if storescu could not send."""
    proposal = folder / "proposal.cfg"
    proposal.write_text(
        PROPOSAL.format(transfer_syntax=case.transfer_syntax, sop_class=case.sop_class)
    )
    titles = ["-aet", case.calling, "-aec", "ANONODE"]
    target = ["127.0.0.1", str(node.port), str(case.path)]
    command = [storescu, "-v", *titles, "-xf", str(proposal), "File", *target]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    _, found, response = output.partition("Received Store Response (")
    if found:
        said = response.splitlines()[0].rstrip(")")
        return "" if said == "Success" else said
    return "presentation context refused" if "No Acceptable Presentation" in output else None


def _own_sender(node: RunningNode, case: Case) -> str:
    address = ("127.0.0.1", node.port)
    try:
        file = open_part10(case.path)
        (sent,) = send_files([file], address, calling_ae=case.calling, called_ae="ANONODE")
    except (NotPart10, TransportError) as error:
        return f"not sent, {str(error).removeprefix(f'{case.path}: ')}"
    return sent.failure


def _reasons(log: bytes) -> list[str]:
    """What the node's log says of refusals."""
    lines = [json.loads(line) for line in log.splitlines()]
    refused = [line for line in lines if line["event"] == "instance refused"]
    return [
        " ".join(str(line[name]) for name in ("status", "reason", "tag") if name in line)
        for line in refused
    ]


def _undelivered(node: RunningNode) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{node.data / FILE_NAME}?mode=ro", uri=True)) as db:
        wanted = "SELECT state, last_outcome FROM deliveries WHERE state <> 'delivered'"
        return db.execute(wanted).fetchall()


def _print(found: Run) -> None:
    senders = Counter(case.sender for case in found.cases)
    print(
        f"\n{len(found.cases)} files, {len(found.accepted)} accepted, sent by {dict(senders)},"
        f" the longest took {found.longest_s:.2f} s; refused:"
    )
    for case in found.refused:
        print(f"  {case.path.name} ({case.sender}): {case.refusal}")


# ---------------------------------------------------------------- the claims


def test_every_file_is_accepted_or_refused_with_a_reason(run, deadline_s):
    """Nothing hangs, most are accepted, and a refusal is one that the node has stated."""
    assert run.longest_s < deadline_s(10)
    assert len(run.accepted) > 0.9 * len(run.cases)
    for case in run.refused:
        assert len(case.refusal) > len("0x0000"), case.path.name


def test_every_accepted_file_arrives_once_in_its_own_transfer_syntax(run):
    """In the folder of DCMTK's storescp, or at the archive where DCMTK lacks the syntax."""
    assert run.undelivered == []
    for case in run.accepted:
        assert case.result, case.path.name
        arrived = driving.transfer_syntax_of(case.result.read_bytes())
        assert arrived == case.transfer_syntax, case.path.name


def test_every_result_is_read_by_pydicom_whole(run):
    """Down to the last element of the last item."""
    for case in run.accepted:
        meta, dataset = encoded.split_part10(case.result.read_bytes())
        assert driving.irregularity(dataset, encoded.text_of(meta, 0x00020010)) == ""
        assert reference.SOP_INSTANCE_UID in case.after


def test_every_result_is_read_by_dcmdump(run, peer):
    """It comes to the end of each without an error; but for the syntaxes that it lacks."""
    dcmdump = peer("dcmdump")
    for case in run.accepted:
        if case.transfer_syntax not in HTJ2K:
            done = _dump(dcmdump, case.result)
            assert done.returncode == 0, (case.path.name, done.stderr)


def _dump(dcmdump: Path, path: Path) -> subprocess.CompletedProcess[bytes]:
    command = [dcmdump, "-q", path]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)


def test_instances_that_referred_to_each_other_still_do(run):
    """One original UID has one new UID in all instances of a profile, and no other has it."""
    new: dict[tuple[int, bytes], set[bytes]] = {}
    for case in run.accepted:
        for tag in ROOT_UIDS:
            before, after = (_values(each.get(tag)) for each in (case.before, case.after))
            for original, result in zip(before, after, strict=True):
                new.setdefault((case.scope, original), set()).add(result)

    assert {len(results) for results in new.values()} == {1}
    assert len(set.union(*new.values())) == len(new)
    kept = [original for (_, original), results in new.items() if original in results]
    assert kept == []

    followed = 0
    for case in run.accepted:
        results = set(_leaves(case.after, {"U"}))
        for original in set(_leaves(case.before, {"U"})):
            if (case.scope, original) in new:
                followed += 1
                assert new[case.scope, original] <= results, case.path.name
            assert original not in results or original in _registered(), case.path.name
    assert followed > len(ROOT_UIDS) * len(run.accepted) / 2


def test_no_result_holds_a_value_that_the_profile_removes(run):
    """Values are compared whole, those of every depth; a value that is also kept may stay."""
    searched, dummies = 0, _dummies()
    for case in run.accepted:
        kept = set(_leaves(case.before, {"K"}))
        removed = set(_removed(case.before)) - kept - dummies
        searched += len(removed)
        assert removed & set(_every_value(case.after)) == set(), case.path.name
    assert searched > 10 * len(run.accepted)


def _dummies() -> set[bytes]:
    """What the profile itself writes in the place of values and of sequences."""
    sequences = (
        reference.CONTENT_SEQUENCE,
        reference.GRAPHIC_ANNOTATIONS,
        reference.VERIFYING_OBSERVERS,
        0x00082218,  # any sequence of codes
    )
    marks = Dataset()
    rewriter = reference.Rewriter("", "", driving.pseudonyms(), knows_class=True)
    rewriter.mark(marks)
    items = [marks, *map(rewriter.dummy_item, sequences)]
    inside = {value for item in items for value in _every_value(reference.flat(item))}
    return inside | {dummy.strip(b" \0") for dummy in reference.DUMMY.values()}


def _registered() -> set[bytes]:
    return {uid.encode() for uid in reference.UID_dictionary}


def _values(element: reference.Leaf | reference.Branch | None) -> list[bytes]:
    """The values of one element without their padding."""
    if not isinstance(element, reference.Leaf):
        return []
    parts = (part.strip(b" \0") for part in element.value.split(b"\\"))
    return [part for part in parts if len(part) >= SHORTEST]


def _leaves(
    dataset: dict[int, reference.Leaf | reference.Branch], actions: set[str]
) -> Iterator[bytes]:
    """Values of elements with these actions, in what the profile walks through."""
    for tag, element in dataset.items():
        if isinstance(element, reference.Branch):
            if reference.action(tag) in {"K", "U"}:
                for item in element.items:
                    yield from _leaves(item, actions)
        elif reference.action(tag) in actions:
            yield from _values(element)


def _removed(dataset: dict[int, reference.Leaf | reference.Branch]) -> Iterator[bytes]:
    """Values that must be gone, and all that stands below a sequence that must be gone."""
    yield from (v for v in _leaves(dataset, {"X", "Z", "D", "U"}) if v not in _registered())
    for tag, element in dataset.items():
        if isinstance(element, reference.Branch):
            for item in element.items:
                walked = reference.action(tag) in {"K", "U"}
                yield from _removed(item) if walked else _every_value(item)


def _every_value(dataset: dict[int, reference.Leaf | reference.Branch]) -> Iterator[bytes]:
    for element in dataset.values():
        yield from _values(element)
        if isinstance(element, reference.Branch):
            for item in element.items:
                yield from _every_value(item)


def test_storescu_sends_the_folder_of_the_corpus(tmp_path, peer, corpus, deadline_s):
    """The stock command comes to its end; each file is stored, or its refusal is said.

    Stock storescu proposes no compression but what `-x` asks for, and leaves out what it cannot
    read or has no presentation context for: that is its own refusal.
    """
    config = CONFIG.format(
        storescp=9,
        archive=9,
        profiles="  p: {Base: basic, BurnedIn: keep}",
        routes="  - {from: CT1, profile: p}",
    )
    with RunningNode(tmp_path / "node", config) as node:
        titles = ["-aet", "CT1", "-aec", "ANONODE"]
        target = ["127.0.0.1", str(node.port), str(corpus[0].parent)]
        done = subprocess.run(
            [peer("storescu"), "-v", "-nh", *titles, "+sd", *target],
            capture_output=True,
            timeout=deadline_s(60),
            check=False,
        )
    stored = len(list((node.data / "instances").rglob("*.dcm")))
    said = (done.stdout + done.stderr).decode("utf-8", "replace").split("Sending file: ")[1:]
    succeeded = [each for each in said if "Received Store Response (Success)" in each]
    others = [each for each in said if each not in succeeded]
    print(f"\n{len(said)} files, {len(succeeded)} acknowledged, {stored} stored")
    assert len(said) >= len(corpus)
    assert len(succeeded) == stored > len(corpus) / 3
    assert [each for each in others if "\nE: " not in each and "Store Response" not in each] == []
    refused = [each for each in others if "Received Store Response" in each]
    assert len(refused) == len(_reasons(node.output.read_bytes()))

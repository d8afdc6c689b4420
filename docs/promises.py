"""The README's table of promises: what each is, how it is tried, and what was seen last.

The figures are lines of `promises.jsonl`, which `make nightly` lets the tests write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS: Final = Path(__file__).with_name("promises.jsonl")
BEGIN: Final = "<!-- promises: made by `make docs` -->\n"
END: Final = "<!-- end of promises -->"
_HEAD: Final = """\
| We promise | It is tried by | Test | Seen |
| --- | --- | --- | --- |
"""
TRIALS: Final = {
    "Acknowledged is durable": {
        "T-KILL-R": "kill -9 at random moments under load",
        "T-KILL-X": "kill -9 at every system call of a store and a forward",
        "T-KILL-2": "kill -9 during recovery, three deep",
        "T-START": "a start after a kill, with ten thousand instances waiting",
        "T-POWER": "the power cut under load, on a disk that forgets",
        "T-SIM": "simulated crashes, faults and peers, from seeds",
        "T-MUTANT": "each sync taken out of the node: a test must notice",
        "T-EIO": "errors of every write and sync",
        "T-CORRUPT-OBJECT": "a bit flipped in a stored file",
        "T-CORRUPT-DATABASE": "a bit flipped in the database",
        "T-CORRUPT-LOG": "a bit flipped in the database's log",
        "T-CORRUPT-KEY": "a bit flipped in the key",
    },
    "Back-pressure, not loss": {
        "T-DISK": "a disk that fills up, stays full, and empties",
        "T-INODE": "a disk without inodes",
    },
    "Nobody in the way": {
        "T-DOWN": "a destination that is down under load",
        "T-BLACKHOLE": "a destination that swallows packets",
        "T-SIGSTOP": "a destination that is stopped in the middle",
        "T-SLOWPEER": "a destination that takes 64 KiB/s",
        "T-POISON": "one instance in a hundred that a destination chokes on",
        "T-FLAP": "a destination that comes and goes",
        "T-JITTER": "two hundred deliveries to a dead host, in simulated time",
        "T-SLOWLORIS": "hundreds of stuck DICOM, TLS and HTTP sockets",
        "T-HANDSHAKE": "TLS handshakes that never end, beside a sender",
        "T-FLOOD": "a thousand connections a second from one address",
        "T-SOAK": "load for a long time",
    },
    "At least once, and one object": {
        "T-LOSTACK": "answers cut off on either side",
        "T-DUP": "the same instance from four associations at once",
        "T-DUP2": "other bytes under a known UID",
        "T-LOOP": "an instance that comes back",
    },
    "Fails closed": {
        "T-ABORT": "peers that vanish at every byte",
        "T-AHEAD": "lengths of 4 GiB, and messages sent ahead without taking an answer",
        "T-BOMB": "deflate bombs, nesting without end",
        "T-UNFOLD": "uploads that unfold: archives of zeros, of archives, of many files",
        "T-BODY": "HTTP bodies that announce ten gigabytes",
        "T-FUZZ": "mutated datasets through the engine",
        "T-FUZZ-PDU": "mutated conversations with the node",
        "T-FORGED": "requests that a page of another origin forges",
        "T-REBIND": "HTTP requests by a name that is not the node's",
        "T-SSRF": "requests that name an address to send to",
        "T-ASTRAY": "identifiers that are paths, queries, and worse",
        "T-TLS": "wrong, expired and missing certificates, old versions",
        "T-BIND": "AE title, address and certificate that do not belong together",
    },
    "Nothing identifiable at rest": {
        "T-RESTPHI": "planted words, then a scan of the raw device, logs, answers",
        "T-SECRETS": "arguments, environment and log of every process",
    },
    "Stops and reloads in order": {
        "T-STOP": "SIGTERM under load with stuck peers",
        "T-RELOAD": "SIGHUP under load, every third file invalid",
        "T-CLOCK": "a wall clock that jumps",
        "T-NOTIFY": "what systemd is told, heard by a stand-in",
    },
}


def results() -> dict[str, dict[str, Any]]:
    """The latest line of each trial, by its name."""
    lines = RESULTS.read_text("ascii").splitlines()
    return {entry["promise"]: entry for entry in map(json.loads, lines)}


def table() -> str:
    """The table, between its marks."""
    rows = (row for promise, trials in TRIALS.items() for row in _rows(promise, trials))
    return BEGIN + _HEAD + "".join(rows) + END


def _rows(promise: str, trials: dict[str, str]) -> Iterator[str]:
    """Those of a promise, which stands in the first of them only."""
    seen = results()
    for number, (name, how) in enumerate(trials.items()):
        said = "" if number else f"**{promise}**"
        yield f"| {said} | {how} | {name} | {_seen(seen.get(name))} |\n"


def within(readme: str) -> str:
    """The README with the table as it is now.

    Raises:
        ValueError: it has no place for it.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("README.md has lost the marks of the table of promises")
    return before + table() + after


def _seen(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "not measured yet"
    figures = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in entry["figures"].items()
    )
    return figures + ("" if entry["nightly"] else " (small size)")

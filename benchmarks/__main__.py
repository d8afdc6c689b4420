"""`python -m benchmarks`: everything; or one part of it, or a short run of all."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import archive, engine, network, report
from benchmarks.servers import ALL, ANONODE, Server

if TYPE_CHECKING:
    from collections.abc import Callable

_RESULTS: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Size:
    """How long a run takes."""

    rounds: int
    large_instances: int
    small_instances: int
    stock_instances: int
    stock_rounds: int
    idle_s: float
    megabytes: int
    study_instances: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Run:
    """What every part is given."""

    servers: list[Server]
    size: Size
    folder: Path


FULL: Final = Size(3, 200, 500, 500, 1, 10, 1024, 500, 20)
QUICK: Final = Size(3, 40, 80, 40, 1, 3, 128, 50, 5)


def main() -> None:
    """Measure, print Markdown, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "part",
        nargs="?",
        default="all",
        choices=("all", "quick", *_PARTS),
        help="all parts (default), all parts in short, or one",
    )
    parser.add_argument("--quick", action="store_true", help="one part in short")
    parser.add_argument("--without", nargs="*", default=[], help="names of servers to leave out")
    parser.add_argument(
        "--output", type=Path, help="where the JSON goes (benchmarks/results.json)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("/var/tmp"),  # noqa: S108 - a folder of its own is made in it
        help="on the disk to measure; /var/tmp, because /tmp may be memory, where syncing is free",
    )
    given = parser.parse_args()
    short = given.quick or given.part == "quick"
    wanted = list(_PARTS) if given.part in {"all", "quick"} else [given.part]
    servers = _servers(set(given.without))
    results: dict[str, Any] = {"machine": report.machine(given.folder), "quick": short}
    with tempfile.TemporaryDirectory(prefix="anonode-bench-", dir=given.folder) as folder:
        run = Run(servers, QUICK if short else FULL, Path(folder))
        for name in wanted:
            results[name] = _PARTS[name](run)
    # A short or partial run must not stand where the README's figures come from.
    output = given.output or (_RESULTS if given.part == "all" and not short else None)
    if output:
        output.write_text(json.dumps(results, indent=2) + "\n")


def _servers(without: set[str]) -> list[Server]:
    for server in ALL:
        if not server.installed:
            print(f"{server.name}: left out, {server.needs} is not installed", flush=True)
    return [server for server in ALL if server.installed and server.name not in without]


def _engine(run: Run) -> list[dict[str, Any]]:
    timed, missing = engine.run(rounds=run.size.rounds, repeats=run.size.repeats)
    print("\n### The engine alone\n", flush=True)
    for instance in engine.INSTANCES:
        print(report.engine([one for one in timed if one.instance == instance], "Anonode"))
        print(flush=True)
    for name in missing:
        print(f"{name}: left out, not installed", flush=True)
    return [asdict(one) for one in timed]


def _network(run: Run) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for side, count in ((512, run.size.large_instances), (64, run.size.small_instances)):
        for associations in (1, 4):
            measured = network.raw(
                run.servers,
                run.folder,
                side=side,
                count=count,
                associations=associations,
                rounds=run.size.rounds,
            )
            title = f"{count} CT of {side}x{side}, associations: {associations}"
            _show(title, measured)
            results[f"{side}x{side}, {associations}"] = [_row(one) for one in measured]
    return results


def _stock(run: Run) -> list[dict[str, Any]]:
    if not network.storescu_installed():
        print("storescu: left out, DCMTK is not installed", flush=True)
        return []
    count = run.size.stock_instances
    measured = network.stock_sender(
        run.servers, run.folder, count=count, rounds=run.size.stock_rounds
    )
    _show(f"{count} CT of 64x64 from DCMTK's storescu as it comes", measured)
    return [_row(one) for one in measured]


def _show(title: str, measured: list[network.Measured]) -> None:
    print(f"\n### {title}\n", flush=True)
    print(report.network(measured, ANONODE.name), flush=True)


def _row(one: network.Measured) -> dict[str, Any]:
    return {**asdict(one), "rate": one.rate, "cpu": one.cpu}


def _idle(run: Run) -> list[dict[str, Any]]:
    measured = network.idle(run.servers, run.folder, seconds=run.size.idle_s)
    print("\n### Open associations that carry nothing\n", flush=True)
    print(report.idle(measured), flush=True)
    return [asdict(one) for one in measured]


def _large(run: Run) -> list[dict[str, Any]]:
    measured = network.large(run.servers, run.folder, megabytes=run.size.megabytes)
    print("\n### Memory while one large instance arrives\n", flush=True)
    print(report.large(measured), flush=True)
    return [asdict(one) for one in measured]


def _archive(run: Run) -> list[dict[str, Any]]:
    count = run.size.study_instances
    measured = archive.run(run.folder, count=count, rounds=run.size.rounds)
    print(f"\n### A stored study of {count} CT of 512x512, anonymized over REST\n", flush=True)
    print(report.archive(measured), flush=True)
    return [asdict(one) for one in measured]


_PARTS: Final[dict[str, Callable[[Run], Any]]] = {
    "engine": _engine,
    "network": _network,
    "stock": _stock,
    "idle": _idle,
    "large": _large,
    "archive": _archive,
}


if __name__ == "__main__":
    main()

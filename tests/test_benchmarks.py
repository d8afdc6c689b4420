"""The benchmarks measure what they say: whole instances, whole process trees."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import instances, network, processes, wire
from benchmarks.servers import SINK, running

if TYPE_CHECKING:
    from pathlib import Path


def test_the_generated_ct_is_as_rich_as_a_scanner_s() -> None:
    """The engine's figures hold for headers of real size, private elements included."""
    dataset = instances.ct(64)

    assert 250 <= instances.elements(dataset) <= 290
    assert sum(element.tag.is_private for element in dataset) > 100
    assert sum(element.VR == "SQ" for element in dataset) >= 4


@pytest.mark.slow
def test_the_long_instances_are_as_long_as_they_say() -> None:
    """Functional groups of every frame; contours of real size."""
    frames, structures = instances.enhanced(200), instances.contours(20, 50, 100)

    assert len(frames.PerFrameFunctionalGroupsSequence) == 200
    assert instances.elements(frames) > 30 * 200
    contours = [one for roi in structures.ROIContourSequence for one in roi.ContourSequence]
    assert len(contours) == 1000
    assert {len(one.ContourData) for one in contours} == {300}
    assert len(instances.encode(structures)) > 1 << 20


@pytest.mark.slow
def test_the_sink_keeps_every_byte_that_the_client_sends(tmp_path: Path) -> None:
    """A limit that lost bytes would be no limit."""
    (measured,) = network.raw([SINK], tmp_path, side=64, count=4, associations=2, rounds=1)

    stored = [path.read_bytes() for path in tmp_path.rglob("raw-sink/*")]
    encoded = instances.encode(instances.ct(64))
    expected = {
        instances.with_uid(encoded, instances.instance_uid(batch, association, number))
        for batch in range(2)
        for association in range(2)
        for number in range(2)
    }
    assert measured.refused == 0
    assert len(stored) == 8
    assert {len(one) for one in stored} == {len(encoded)}
    assert len(set(stored)) == len(expected)


@pytest.mark.parametrize("max_pdu_bytes", [4096, 16_384, 131_072, 0])
def test_prepared_pdus_carry_the_dataset_within_the_limit(max_pdu_bytes: int) -> None:
    """No PDU is longer than the peer allows, and only the last fragment says so."""
    dataset = os.urandom(50_001)
    pdus = list(wire.data_pdus(3, max_pdu_bytes, [dataset[:20_000], dataset[20_000:]]))

    assert b"".join(pdu[12:] for pdu in pdus) == dataset
    assert all(len(pdu) - 6 <= (max_pdu_bytes or 1 << 17) for pdu in pdus)
    assert [pdu[11] for pdu in pdus] == [0] * (len(pdus) - 1) + [2]


def test_the_cpu_of_an_ended_child_is_counted() -> None:
    """A server that forks for each association is charged for its children."""
    work = "import time\nwhile time.process_time() < 0.35: pass"
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {work!r}], check=True)\n"
        "print('done', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        parent.stdout.readline()

        assert processes.cpu_s(parent.pid) >= 0.3
        assert processes.peak_bytes(parent.pid) > 1 << 20
        parent.communicate(b"")


def test_a_server_that_does_not_start_is_reported_with_its_output(tmp_path: Path) -> None:
    """A benchmark never waits for a server that is gone."""
    broken = type(SINK)(
        "broken", "nothing", "X", lambda _port, _folder: [sys.executable, "-c", "1/0"]
    )

    with pytest.raises(RuntimeError, match="ZeroDivisionError"), running(broken, tmp_path):
        pass

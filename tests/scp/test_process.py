"""What the process is to the system, asked of the system itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 30.0
ROOT = Path(__file__).parents[2]
ASK = (
    "import ctypes, resource;"
    "dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0);"  # PR_GET_DUMPABLE
    "print(dumpable, *resource.getrlimit(resource.RLIMIT_CORE))"
)


def told(code: str) -> list[str]:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return done.stdout.split()


def test_a_sealed_process_has_no_core_and_cannot_be_traced() -> None:
    """Neither by its own user; without the call it could."""
    assert told(ASK)[0] == "1"
    assert told(f"from scp.process import seal; assert seal(); {ASK}") == ["0", "0", "0"]


def test_a_limit_that_cannot_be_changed_is_no_reason_to_stop() -> None:
    """A filter of system calls may forbid it: then the unit has set it."""
    code = "import resource; resource.setrlimit = lambda *_: (_ for _ in ()).throw(ValueError)"

    assert told(f"{code}; from scp.process import seal; print(seal())") == ["True"]


def test_sealing_again_is_harmless() -> None:
    """In a process of its own, because it cannot be undone in this one without a trace."""
    assert told("from scp.process import seal; print(seal() and seal())") == ["True"]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            "import scp.cli.app as app; app.command_line = lambda _: lambda: None; app.main()",
            id="command line",
        ),
        pytest.param(
            "import sys; from scp import pixel_worker; sys.argv = ['', str(1 << 31), '5'];"
            "pixel_worker.main(); sys.stdout = sys.stderr",
            id="pixel process",
        ),
    ],
)
def test_what_holds_instances_is_sealed(code: str) -> None:
    """The node with every other command, and the processes that decode pixels."""
    assert told(f"{code}\n{ASK}") == ["0", "0", "0"]

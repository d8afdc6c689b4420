"""The conversation with systemd, with a real datagram socket and real passed descriptors."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from scp.notify import ActivationError, ServiceManager, adopt_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_S = 10.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of the conversation that systemd holds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(LIMIT_S)
        yield channel


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A TCP socket as a socket unit opens it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def passed(fd: int, *, names: str = "dicom", count: str = "1", pid: str = "") -> dict[str, str]:
    """The variables with which systemd starts a service; `fd` only says which one is meant."""
    assert fd > 2
    return {"LISTEN_PID": pid or str(os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": names}


def told(channel: socket.socket) -> list[str]:
    """The lines of the next message."""
    return channel.recv(4096).decode().splitlines()


def test_ready_and_its_status_are_one_message(manager: socket.socket) -> None:
    """READY and STATUS arrive together."""
    service = ServiceManager(manager.getsockname())

    assert service.ready("receiving")
    assert told(manager) == ["READY=1", "STATUS=receiving"]


def test_an_abstract_address_is_reached() -> None:
    """`@name` is the abstract name space."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0anonode-test-{os.getpid()}")
        channel.settimeout(LIMIT_S)

        assert ServiceManager(f"@anonode-test-{os.getpid()}").status("up")
        assert told(channel) == ["STATUS=up"]


def test_reloading_carries_the_monotonic_clock(manager: socket.socket) -> None:
    """RELOADING is paired by systemd with the READY that follows by this clock."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    ServiceManager(manager.getsockname()).reloading("reading rules")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    first, clock, status = told(manager)
    assert first == "RELOADING=1"
    assert before <= int(clock.removeprefix("MONOTONIC_USEC=")) <= after
    assert status == "STATUS=reading rules"


@pytest.mark.parametrize(
    ("grace_s", "extra"),
    [(0.0, []), (1.5, ["EXTEND_TIMEOUT_USEC=1500000"])],
    ids=["unit's limit", "own limit"],
)
def test_stopping_may_ask_for_time(
    manager: socket.socket, grace_s: float, extra: list[str]
) -> None:
    """Draining longer than the unit allows is said beforehand."""
    ServiceManager(manager.getsockname()).stopping("draining", grace_s=grace_s)

    assert told(manager) == ["STOPPING=1", "STATUS=draining", *extra]


def test_a_status_cannot_become_a_second_message(manager: socket.socket) -> None:
    """A line feed in a status does not stop the service."""
    ServiceManager(manager.getsockname()).status("up\nSTOPPING=1\0x")

    assert told(manager) == ["STATUS=up STOPPING=1 x"]


def test_children_do_not_inherit_the_address() -> None:
    """The variable is gone once it is read."""
    environ = {
        "NOTIFY_SOCKET": "/run/nowhere",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": "12",
        "HOME": "/",
    }

    manager = ServiceManager.from_environment(environ, pid=12)

    assert manager == ServiceManager("/run/nowhere", 30.0)
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    ("usec", "waits_for", "patience_s"),
    [
        pytest.param("1500000", "", 1.5, id="nobody named"),
        pytest.param("1500000", "12", 1.5, id="this process"),
        pytest.param("1500000", "13", None, id="another process"),
        pytest.param("0", "12", None, id="zero"),
        pytest.param("soon", "12", None, id="no number"),
        pytest.param("", "", None, id="none"),
    ],
)
def test_a_watchdog_is_fed_only_by_the_process_it_waits_for(
    usec: str, waits_for: str, patience_s: float | None
) -> None:
    """What cannot be read means that nobody waits."""
    environ = {"WATCHDOG_USEC": usec, "WATCHDOG_PID": waits_for}

    assert ServiceManager.from_environment(environ, pid=12).watchdog_s == patience_s


def test_a_watchdog_is_fed_by_one_message(manager: socket.socket) -> None:
    """It says nothing else, so that a status stays what it is."""
    assert ServiceManager(manager.getsockname()).alive()
    assert told(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}], ids=["unset", "empty"])
def test_without_systemd_nothing_is_said(environ: dict[str, str]) -> None:
    """No address means no message and no error."""
    assert not ServiceManager.from_environment(environ, pid=1).ready("receiving")


@pytest.mark.parametrize("address", ["/nonexistent/notify", "/\0", "vsock:2:1", "@" + "x" * 200])
def test_a_manager_that_cannot_be_reached_does_not_fail_the_node(address: str) -> None:
    """A lost message is reported by the answer only."""
    assert not ServiceManager(address).ready("receiving")


def test_a_manager_that_does_not_read_does_not_block_the_node(manager: socket.socket) -> None:
    """When its queue is full, a message is dropped."""
    service = ServiceManager(manager.getsockname())

    assert any(not service.status("again") for _ in range(100_000))


def test_a_socket_is_adopted_by_name(listening: socket.socket) -> None:
    """The adopted socket is the one that was passed, and children do not inherit it."""
    port = listening.getsockname()[1]
    fd = os.dup(listening.fileno())
    os.set_blocking(fd, False)
    environ = passed(fd)

    (adopted,) = adopt_sockets(environ, pid=os.getpid(), first_fd=fd)["dicom"]

    with adopted:
        assert adopted.getsockname()[1] == port
        assert not adopted.get_inheritable()
        assert adopted.getblocking()
    assert environ == {}


def test_a_started_process_adopts_what_systemd_passes(listening: socket.socket) -> None:
    """With the real variables and descriptor 3, a fresh process answers on the passed port."""
    code = (
        "import os\n"
        "from scp.notify import adopt_sockets\n"
        "(server, ), = adopt_sockets(os.environ, pid=os.getpid()).values()\n"
        "peer, _ = server.accept()\n"
        "peer.sendall(b'adopted')\n"
    )
    launch = 'fd=$1; shift; exec 3<&"$fd"; export LISTEN_PID=$$; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", launch, "sh", str(listening.fileno()), sys.executable, "-c", code],
        env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "dicom"},
        pass_fds=[listening.fileno()],
    )

    with socket.create_connection(listening.getsockname(), timeout=LIMIT_S) as peer:
        answer = peer.recv(16)

    assert process.wait(LIMIT_S) == 0
    assert answer == b"adopted"


def test_one_name_may_own_several_sockets() -> None:
    """A unit with two ListenStream lines passes both under one name."""
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        low, high = 200, 201
        os.dup2(a.fileno(), low)
        os.dup2(b.fileno(), high)
        environ = passed(low, count="2", names="dicom:dicom")

        adopted = adopt_sockets(environ, pid=os.getpid(), first_fd=low)["dicom"]

        ports = [server.getsockname()[1] for server in adopted]
        for server in adopted:
            server.close()
        assert ports == [a.getsockname()[1], b.getsockname()[1]]


def test_a_socket_without_a_name_is_unknown(listening: socket.socket) -> None:
    """Systemd before 227 passes no names."""
    fd = os.dup(listening.fileno())

    (name,) = (adopted := adopt_sockets(passed(fd, names=""), pid=os.getpid(), first_fd=fd))

    adopted[name][0].close()
    assert name == "unknown"


def test_sockets_for_another_process_are_left_alone(listening: socket.socket) -> None:
    """A child of the addressed process adopts nothing and cleans its environment."""
    environ = passed(listening.fileno(), pid="1")

    assert adopt_sockets(environ, pid=os.getpid(), first_fd=listening.fileno()) == {}
    assert environ == {}


@pytest.mark.parametrize(
    ("count", "names", "message"),
    [
        ("two", "dicom", "not a number"),
        ("-1", "dicom", "not a number"),
        ("1", "dicom:admin", "does not name as many"),
    ],
)
def test_variables_that_contradict_each_other_are_refused(
    listening: socket.socket, count: str, names: str, message: str
) -> None:
    """Guessing which socket is meant would serve the wrong port."""
    environ = passed(listening.fileno(), count=count, names=names)

    with pytest.raises(ActivationError, match=message):
        adopt_sockets(environ, pid=os.getpid(), first_fd=listening.fileno())


def test_a_descriptor_that_does_not_listen_is_refused(tmp_path: Path) -> None:
    """A file, a datagram socket and a socket that never listened are no listener."""
    with (
        (tmp_path / "file").open("wb") as file,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as idle,
    ):
        for fd in (file.fileno(), datagram.fileno(), idle.fileno()):
            with pytest.raises(ActivationError, match=str(fd)):
                adopt_sockets(passed(fd), pid=os.getpid(), first_fd=fd)

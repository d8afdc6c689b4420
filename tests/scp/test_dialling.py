"""TCP connections out: an end to every attempt."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from scp.dialling import dial
from scp.errors import Stopping
from scp.wire import Signal


@pytest.fixture
def silent():
    """An address whose queue of connections is full: further ones are not answered."""
    with ExitStack() as held, socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.settimeout(0.0)
            waiting.connect_ex(address)
        yield address


def test_what_listens_is_connected_to():
    """By the first address of its name that answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dial(("localhost", server.getsockname()[1]), 5.0, None) as made,
        server.accept()[0] as theirs,
    ):
        assert made.getsockname() == theirs.getpeername()


def test_a_family_that_the_system_lacks_is_passed_over(monkeypatch):
    """A name may have addresses of both; the machine may have one of them switched off."""

    class OnlyIPv4(socket.socket):
        def __init__(self, family=-1, *rest, **more):
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *rest, **more)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        both = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "socket", OnlyIPv4)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        with dial(("pacs", port), 5.0, None) as made:
            assert made.getpeername() == ("127.0.0.1", port)

        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both[:1])
        with pytest.raises(OSError, match="family"):
            dial(("pacs", port), 5.0, None)


def test_what_does_not_answer_is_given_up_in_time(silent):
    """However long the system itself would go on trying."""
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        dial(silent, 0.2, None)

    assert 0.2 <= time.monotonic() - begun < 2


def test_a_stop_ends_an_attempt_at_once(silent):
    """A node that stops does not wait for a network that is gone."""
    stop = Signal()
    threading.Timer(0.1, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(Stopping):
        dial(silent, 60.0, stop)

    assert time.monotonic() - begun < 5
    stop.close()


def test_a_refusal_says_what_the_system_says():
    """So that an operator knows a closed port from a dead host."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    with pytest.raises(ConnectionRefusedError):
        dial(address, 5.0, None)

"""A loop of forwarding ends where it closes."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from scp.loops import is_own, sent_by
from scp.settings import Destination

EVERY = "0.0.0.0"  # noqa: S104 - an address to compare with, nothing listens


@pytest.mark.parametrize(
    ("destination", "listening", "own"),
    [
        (("10.0.0.1", 104), ("10.0.0.1", 104), True),
        (("pacs", 104), ("pacs", 104), True),
        (("localhost", 104), (EVERY, 104), True),
        (("127.0.0.1", 104), ("::", 104), True),
        (("LOCALHOST", 104), ("127.0.0.1", 104), True),
        (("::1", 104), ("localhost", 104), True),
        (("10.0.0.1", 105), ("10.0.0.1", 104), False),
        (("10.0.0.1", 104), ("127.0.0.1", 104), False),
        (("10.0.0.1", 104), (EVERY, 104), False),
        (("localhost", 104), ("10.0.0.1", 104), False),
        ((EVERY, 104), ("127.0.0.1", 104), True),
        ((EVERY, 104), (EVERY, 104), True),
        (("::", 104), ("::1", 104), True),
        ((EVERY, 104), ("10.0.0.1", 104), False),
        (("localhost.", 104), ("127.0.0.1", 104), True),
        (("pacs.", 104), ("PACS", 104), True),
        (("::ffff:10.0.0.1", 104), ("10.0.0.1", 104), True),
        (("0:0::1:1", 104), ("::1:1", 104), True),
        (("name.invalid", 104), (EVERY, 104), False),
        ((socket.gethostname(), 104), (EVERY, 104), True),
        ((socket.gethostname(), 105), (EVERY, 104), False),
    ],
)
def test_an_address_is_the_nodes_own_where_that_is_sure(
    destination: tuple[str, int], listening: tuple[str, int], *, own: bool
) -> None:
    """What only might be is let pass: it is found out when something comes back."""
    assert is_own(destination, listening) is own


def test_who_listens_on_every_interface_is_reached_at_each_of_its_addresses() -> None:
    """By whatever address the machine is called; IPv6 only where that is listened on."""
    own = own_address()
    if own is None:
        pytest.skip("the machine has no address but those of loopback")

    assert is_own((own, 104), (EVERY, 104))
    assert is_own((own, 104), ("::", 104))
    assert not is_own((own, 105), (EVERY, 104))
    assert not is_own((own, 104), ("127.0.0.1", 104))


def own_address() -> str | None:
    """The address that this machine would call the net from; nothing is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        found = str(sock.getsockname()[0])
        return None if found.startswith("127.") else found
    return None


def destination(name: str, ae_title: str, host: str) -> Destination:
    """A place to send to."""
    return Destination(name, ae_title, host, 104, "ANONODE", 1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("calling", "address", "names"),
    [
        ("PACS", "127.0.0.1", ["near", "named"]),
        ("PACS ", "::ffff:127.0.0.1", ["near", "named"]),
        ("PACS", "10.1.1.1", ["far"]),
        ("pacs", "127.0.0.1", []),
        ("CT1", "127.0.0.1", []),
        ("PACS", "no address", []),
    ],
)
def test_a_peer_is_a_destination_by_title_and_address(
    calling: str, address: str, names: list[str]
) -> None:
    """Titles alone are not enough: many a device is called like another."""
    destinations = [
        destination("near", "PACS", "127.0.0.1"),
        destination("named", "PACS", "localhost"),
        destination("far", "PACS", "10.1.1.1"),
        destination("unknown", "PACS", "name.invalid"),
        destination("other", "ARCHIVE", "127.0.0.1"),
    ]

    assert [one.name for one in sent_by(destinations, calling, address)] == names

"""A loop of forwarding ends where it closes."""

from __future__ import annotations

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
    ],
)
def test_an_address_is_the_nodes_own_where_that_is_sure(
    destination: tuple[str, int], listening: tuple[str, int], *, own: bool
) -> None:
    """What only might be is let pass: it is found out when something comes back."""
    assert is_own(destination, listening) is own


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

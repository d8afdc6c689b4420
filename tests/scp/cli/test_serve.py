"""`run` that cannot start says which key of the configuration names what it lacks."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.running import anonode
from tests.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROUTES = 'routes: [{from: "*", profile: basic}]'


def run(folder: Path, *lines: str) -> str:
    """What it says before it ends."""
    (folder / "config.yaml").write_text("\n".join(["version: 1", *lines, ROUTES]))
    done = anonode("run", "--config", folder / "config.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("node.listen", ['node: {{listen: "{taken}"}}']),
        ("rest.listen", ['node: {{listen: "127.0.0.1:0"}}', 'rest: {{listen: "{taken}"}}']),
    ],
)
def test_an_address_in_use_is_named_with_its_key(
    tmp_path: Path, taken: str, key: str, lines: list[str]
) -> None:
    """The system says neither."""
    said = run(tmp_path, *(line.format(taken=taken) for line in lines))

    assert said == f"{key} {taken}: Address already in use\n"


def test_of_two_addresses_the_one_in_use_is_named(
    tmp_path: Path, taken: str, peer: Callable[[str], Path]
) -> None:
    """By its own key."""
    Authority(peer("openssl"), tmp_path, "own")

    said = run(
        tmp_path,
        f'node: {{listen: "127.0.0.1:0", tls_listen: "{taken}", '
        "tls_certificate: own.crt, tls_key: own.key}",
    )

    assert said == f"node.tls_listen {taken}: Address already in use\n"


def test_a_host_that_nobody_knows_is_named_with_its_key(tmp_path: Path) -> None:
    """As it is written."""
    said = run(tmp_path, 'node: {listen: "name.invalid:11112"}')

    assert said.startswith("node.listen name.invalid:11112: ")


def test_an_ipv6_address_is_named_as_it_is_written(tmp_path: Path) -> None:
    """With brackets; 2001:db8:: is for documents, no machine has it."""
    said = run(tmp_path, 'node: {listen: "[2001:db8::1]:11112"}')

    assert said.startswith("node.listen [2001:db8::1]:11112: ")


def test_a_data_folder_that_cannot_be_made_is_named_with_its_key(tmp_path: Path) -> None:
    """A file is in its way."""
    (tmp_path / "file").touch()

    said = run(tmp_path, "node: {data: file/data}")

    assert said.startswith(f"{tmp_path}/file/data, the data folder of node.data, cannot be made")

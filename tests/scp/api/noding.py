"""A whole node with a REST API, in this process."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scp.config import parse_config
from scp.node import Node
from tests.instances import ROOT, file, small_ct, text
from tests.scp.api.serving import Answer, Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0", drain_s: 1}
rest: {listen: "127.0.0.1:0", profile: keep-all}
routes: [{from: "*", profile: basic}]
"""


@dataclass
class Api:
    """A client of a node."""

    node: Node
    client: Client

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """What comes back; a body that is neither text nor bytes is sent as JSON."""
        raw = body if isinstance(body, bytes | str | None) else json.dumps(body)
        return self.client.ask(method, path, raw, **headers)

    def get(self, path: str) -> object:
        """The JSON at an address."""
        return self._json(self.ask("GET", path))

    def post(self, path: str, body: object) -> object:
        """The JSON that a request is answered with."""
        return self._json(self.ask("POST", path, body))

    def upload(
        self, patient: str = "P", study: int = 1, series: int = 1, instance: int = 1
    ) -> str:
        """Store a small instance; its identifier."""
        own = [
            text(0x00080018, "UI", f"{ROOT}.{study}.{series}.{instance}"),
            text(0x00080060, "CS", "CT"),
            text(0x00100010, "PN", "Doe^Jane"),
            text(0x00100020, "LO", patient),
            text(0x0020000D, "UI", f"{ROOT}.{study}"),
            text(0x0020000E, "UI", f"{ROOT}.{study}.{series}"),
            text(0x00200013, "IS", str(instance)),
        ]
        stored = self.post(
            "/instances", file(small_ct(own, instance=instance), "1.2.840.10008.1.2.1")
        )
        return stored["ID"]

    def parent(self, id_: str, level: str) -> str:
        """The identifier of what is above an instance."""
        return self.get(f"/instances/{id_}/{level}")["ID"]

    @staticmethod
    def _json(answer: Answer) -> object:
        assert answer.status == 200, answer
        return answer.json


@contextmanager
def api(folder: Path, config: str = CONFIG) -> Iterator[Api]:
    """A node that keeps everything below a folder."""
    node = Node(parse_config(config, "config.yaml", folder), bytes(range(32)))
    node.start()
    try:
        yield Api(node, Client(node.rest_address[1]))
    finally:
        assert node.stop()

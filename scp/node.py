"""The node: builds everything, starts it in order, stops it in order.

Start: key and profiles -> spool and journal recovered -> forwarders -> listener. Nothing
listens before what an earlier life left behind is in order.
Stop: listener drained -> forwarders finish their instance -> journal closed. What was
acknowledged is on disk at every moment of this, so that stopping late or not at all loses
nothing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rules import Deidentifier, Pseudonyms, compile_plan
from rules import Limits as DatasetLimits
from scp import __version__, logs
from scp.config import RouteMiss
from scp.errors import REJECTIONS
from scp.forwarder import Forwarder
from scp.ingest import Ingest
from scp.journal import FILE_NAME, Journal
from scp.listener import Listener
from scp.sender import SenderAssociation
from scp.spool import Spool
from scp.transport import Accepted, AssociationRequest, Rejected

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from scp.config import Config, Destination, Route
    from scp.instance import StoreRequest

_CALLING_NOT_RECOGNISED = Rejected(1, 1, 3)
_CALLED_NOT_RECOGNISED = Rejected(1, 1, 7)
_CHECKPOINT_EVERY_S = 5.0


class Node:
    """One node; start it once, stop it once."""

    def __init__(
        self, config: Config, key: bytes, *, sockets: Sequence[socket.socket] = ()
    ) -> None:
        """Compile the profiles, recover spool and journal, bind the sockets.

        Args:
            config: What the file says.
            key: Of the pseudonyms.
            sockets: Listening sockets to adopt instead of binding the configured address.

        Raises:
            DocumentError: a profile cannot be compiled.
            SpoolError, JournalError: the data folder cannot be used.
            OSError: the address cannot be bound.
        """
        self._config = config
        self._pseudonyms = Pseudonyms(key)
        self._plans = {route.profile: None for route in config.routes}

"""What a job works on: instances that are looked up when their turn comes.

A study of any size takes sixteen bytes for each of its instances.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, overload

from scp.errors import SpoolError

if TYPE_CHECKING:
    from scp.archive.catalogue import Catalogue
    from scp.archive.resources import Keys, StoredInstance

PAGE: Final = 128
"""Instances that are looked up together."""
_PAGES: Final = 3
"""Pages in memory: who works side by side is hardly ever further apart."""


class Sources(Sequence["StoredInstance"]):
    """Stored instances by number, without their tags; safe for use by many threads."""

    def __init__(self, catalogue: Catalogue, keys: Keys) -> None:
        """Bind it.

        Args:
            catalogue: Where they are looked up.
            keys: As its `keys` gives them.
        """
        self.keys = keys
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._pages: dict[int, dict[int, StoredInstance]] = {}

    def __len__(self) -> int:
        """How many."""
        return len(self.keys.numbers)

    @overload
    def __getitem__(self, number: int) -> StoredInstance: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[StoredInstance]: ...

    def __getitem__(self, number: int | slice) -> StoredInstance | Sequence[StoredInstance]:
        """As it is stored when it is first asked for.

        Raises:
            SpoolError: it is gone, be it that another one has its key now.
        """
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        key, check = self.keys.numbers[number], self.keys.checks[number]
        found = self._page(number % len(self) // PAGE).get(key)
        if found is None or hash(found.id) != check:
            raise SpoolError("a stored instance is gone")
        return found

    def _page(self, page: int) -> dict[int, StoredInstance]:
        with self._lock:
            found = self._pages.get(page)
            if found is None:
                keys = self.keys.numbers[page * PAGE : (page + 1) * PAGE]
                found = self._pages[page] = self._catalogue.places(keys)
                while len(self._pages) > _PAGES:
                    del self._pages[next(iter(self._pages))]
            return found

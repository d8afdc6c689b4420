"""What the acceptance tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom.data import get_testdata_file

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def packaged() -> Callable[[str], Path]:
    """A real file that pydicom ships, by name."""

    def find(name: str) -> Path:
        found = get_testdata_file(name, download=False)
        assert found, name
        return Path(str(found))

    return find

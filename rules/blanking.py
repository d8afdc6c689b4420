"""Native pixels on their way: boxes blanked in constant memory.

Source: PS3.5 8.1; PS3.3 C.7.6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.regions import Decision, Geometry


class Blanker:
    """Blanks the regions of native pixel data."""

    def __init__(self, geometry: Geometry, decision: Decision) -> None:
        """Bind an image and its regions."""
        raise NotImplementedError

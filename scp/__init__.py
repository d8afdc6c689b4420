"""The node: receives instances, has them de-identified, keeps them and forwards them.

The one place that holds the version; the package metadata reads it from here.
"""

from __future__ import annotations

__version__ = "0.1.0"

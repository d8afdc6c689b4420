"""What a plan was compiled from, as one number: the same profile, the same number, anywhere.

Places in files and spellings of selectors do not count; every value, every word of a list and
every option does. The values of a lookup are in it as a digest of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from rules.filemeta import IMPLEMENTATION_VERSION_NAME
from rules.profile import Lookup

if TYPE_CHECKING:
    from rules.profile import Profile

_PLACE = "mark"


def digest(profile: Profile) -> str:
    """SHA-256 of the profile, its edition and the release, in hexadecimal."""
    return _sha256(f"{IMPLEMENTATION_VERSION_NAME}\n{canonical(profile)}")


def canonical(value: object) -> str:
    """A text that is equal exactly for values that are."""
    if isinstance(value, Lookup):
        table = _sha256(canonical(value.table))
        return f"Lookup({table},{canonical(value.missing)})"
    if isinstance(value, Mapping):
        pairs = sorted((canonical(key), canonical(one)) for key, one in value.items())
        return "{" + ",".join(f"{key}:{one}" for key, one in pairs) + "}"
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if is_dataclass(value):
        said = (f"{name}={canonical(getattr(value, name))}" for name in _fields(value))
        return f"{type(value).__name__}({','.join(said)})"
    return json.dumps(value)


def _fields(value: object) -> list[str]:
    """What makes two of them equal, but for where they stand."""
    if not is_dataclass(value):
        return []
    return [one.name for one in fields(value) if one.compare and one.name != _PLACE]


def _sha256(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

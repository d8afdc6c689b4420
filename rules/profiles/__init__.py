"""The ready-made profiles: YAML that a user could have written, and where to read what they do.

Each file says in its first lines what it is for, what stays and what goes.
"""

from __future__ import annotations

from importlib.resources import files

NAMES = ("basic", "research", "clinical-trial", "teaching", "keep-all", "none", "nothing")
"""Every profile that a route may name without defining it."""


def text_of(name: str) -> str:
    """The YAML of one of `NAMES`.

    Raises:
        KeyError: there is no such profile.
    """
    if name not in NAMES:
        raise KeyError(name)
    return files(__package__).joinpath(f"{name}.yaml").read_text("utf-8")

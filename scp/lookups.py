"""Lookup files of a configuration: text beside it, read once, bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class LookupFiles:
    """The lookup files that a configuration names; what was read stays out of `repr`."""

    folder: Path
    texts: dict[str, str] = field(default_factory=dict, repr=False)

    def read(self, name: str) -> str:
        """The text of a file.

        Args:
            name: Of the file, from the folder of the configuration; an absolute path is taken
                as it is.

        Raises:
            ValueError: it cannot be used; a sentence, and no value of it.
        """
        if name not in self.texts:
            self.texts[name] = self._read(self.folder / name)
        return self.texts[name]

    def _read(self, path: Path) -> str:
        if path.exists() and not path.is_file():
            raise ValueError("this is no plain file")
        try:
            with path.open("rb") as file:
                content = file.read(_LIMIT_BYTES + 1)
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
        if len(content) > _LIMIT_BYTES:
            raise ValueError(f"the file is larger than {_LIMIT_BYTES >> 20} MiB")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("the file is not in UTF-8: save it as such") from None

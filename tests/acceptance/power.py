"""A disk whose power can be cut: ext4 in a file, and a copy of that file at some moment.

What the system has not written to the file by then is not in the copy: the file system is mounted
so that it writes by itself only after ten minutes, and what is copied is the device, not what
processes see of it. Mounting the copy is what a machine does when power is back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

from tests.sizes import size

if TYPE_CHECKING:
    from pathlib import Path

IMAGE_BYTES = size(ci=256, nightly=1024) << 20
OPTIONS = "loop,commit=600,noatime"
NEEDED = ("mkfs.ext4", "mount", "umount", "cp")
PATH = os.pathsep.join(("/usr/sbin", "/usr/bin", "/sbin", "/bin"))


@dataclass
class PowerlessDisk:
    """A disk that is mounted on a folder; a context manager that always unmounts it.

    Attributes:
        folder: Where it is mounted.
        images: Where its files lie; on another disk than `folder`, and the test's own.
    """

    folder: Path
    images: Path
    _cuts: int = 0

    def __enter__(self) -> Self:
        for folder in (self.folder, self.images):
            folder.mkdir(parents=True)
        with self._image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        if not (_has_all() and self._make() and self._mount()):
            _refuse()
        return self

    def __exit__(self, *_: object) -> None:
        self._unmount()

    def cut(self) -> None:
        """Lose power, and have it back; nobody uses the disk at this moment."""
        lost = self._image
        self._cuts += 1
        subprocess.run(["cp", "--sparse=always", lost, self._image], check=True, env=_environ())
        self._unmount()
        lost.unlink()
        assert self._mount(), "the file system is not even mounted any more"

    @property
    def _image(self) -> Path:
        return self.images / f"{self._cuts}.ext4"

    def _make(self) -> bool:
        return _run("mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", self._image)

    def _mount(self) -> bool:
        return _run("mount", "-o", OPTIONS, self._image, self.folder)

    def _unmount(self) -> None:
        if os.path.ismount(self.folder):
            # Lazily if somebody holds it: the loop device goes with the last user.
            _run("umount", self.folder) or _run("umount", "-l", self.folder)


def _run(*command: str | Path) -> bool:
    return (
        subprocess.run(command, capture_output=True, check=False, env=_environ()).returncode == 0
    )


def _environ() -> dict[str, str]:
    return {**os.environ, "PATH": PATH}


def _has_all() -> bool:
    return all(shutil.which(name, path=PATH) for name in NEEDED)


def _refuse() -> None:
    """Skip by name: where it is not root, or in a container, nothing can be mounted."""
    pytest.skip("no ext4 can be mounted here (it takes root, loop devices and e2fsprogs)")

"""A process that rewrites, and whose disk fails to sync what is written from now on."""

from __future__ import annotations

import errno
import os
import stat

from scp.archive import rewriter
from scp.disk import Disk


def fail_files(self: Disk, descriptor: int) -> None:
    """Folders are synced, files are not."""
    del self
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EIO, "a sync that failed")
    os.fsync(descriptor)


if __name__ == "__main__":
    Disk.sync = fail_files
    rewriter.main()

"""Onto the disk: what is renamed into place afterwards is there after a power cut, whole.

Costs some milliseconds a file, so a folder of many is flushed with its whole file system in one go.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path

FEW_FILES = 16
"""Up to so many are flushed one by one, whatever else the file system has to write."""

_CANNOT_FLUSH = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EROFS}


def flush(path: Path) -> None:
    """Flush a file, or a folder with all that is in it."""
    if not path.is_dir():
        _flush_one(path)
        return
    files, folders = [], []
    for place, _, names in os.walk(path):
        folders.append(Path(place))
        files += [Path(place, name) for name in names]
    if len(files) + len(folders) > FEW_FILES and _flush_file_system(path):
        return
    for one in [*files, *folders]:
        _flush_one(one)


def flush_names(folder: Path) -> None:
    """Flush what is called how in `folder` itself: a rename that is to last."""
    _flush_one(folder)


def _flush_one(path: Path) -> None:
    if os.name == "nt":  # knows it for files that are open to be written only
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # a file that may not be read; the rest is flushed all the same
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _flush_file_system(path: Path) -> bool:
    """Flush all of the file system that `path` is on; False where that is not known how."""
    if not sys.platform.startswith("linux"):
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "syncfs"):
            return False
        if library.syncfs(descriptor) == 0:
            return True
        number = ctypes.get_errno()
        if number in _CANNOT_FLUSH:
            return False
        raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)

"""Files and folders are written whole or not at all, and nothing of the user's is lost on the way."""

from sedistill.common.writing.atomic import atomic_folder, atomic_path, write_whole
from sedistill.common.writing.disk_errors import named_disk_errors
from sedistill.common.writing.flushing import flush
from sedistill.common.writing.locking import exclusive_lock, refuse_if_taken
from sedistill.common.writing.outputs import (
    is_empty_folder,
    refuse_existing,
    refuse_foreign_folder,
    refuse_impossible,
    refuse_inside,
)
from sedistill.common.writing.unfinished import make_folders

__all__ = [
    "atomic_folder",
    "atomic_path",
    "exclusive_lock",
    "flush",
    "is_empty_folder",
    "make_folders",
    "named_disk_errors",
    "refuse_existing",
    "refuse_foreign_folder",
    "refuse_if_taken",
    "refuse_impossible",
    "refuse_inside",
    "write_whole",
]  # fmt: skip

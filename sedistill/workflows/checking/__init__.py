"""Is what lies on the disk still what was written? Everything is read, nothing is changed."""

from sedistill.workflows.checking.command import check_paths

__all__ = ["check_paths"]

"""A saved model at work: on arrays, on files, on folders."""

from sedistill.inference.enhancing.arrays import enhance
from sedistill.inference.enhancing.file_jobs import enhance_files

__all__ = ["enhance", "enhance_files"]

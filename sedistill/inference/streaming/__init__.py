"""A network at work on sound that is still coming in."""

from sedistill.inference.streaming.stream import Stream

__all__ = ["Stream"]

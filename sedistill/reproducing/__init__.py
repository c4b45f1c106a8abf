"""Every table of the papers as a command: train what is missing, evaluate, set ours beside theirs."""

from sedistill.reproducing.reproduce import reproduce

__all__ = ["reproduce"]

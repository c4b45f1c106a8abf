"""The whole journey, on a corpus made on the spot (`speech`, `noise`): `journey`, and its `story`."""

from sedistill.demo.journey import run_demo

__all__ = ["run_demo"]

"""Sound to student to a page, on a corpus made on the spot (`speech`, `noise`): `make_demo` in `run_demo`."""

from sedistill.workflows.demo.run_demo import make_demo

__all__ = ["make_demo"]

"""The `sedistill` command, also as `python -m sedistill`.

It imports nothing from the current folder, and listens to signals before it loads anything heavy.
"""

import os
import sys

try:
    HERE = os.getcwd()
except FileNotFoundError:
    sys.exit("sedistill: the current folder was removed; change to another and run the same command again.")

if sys.path and sys.path[0] in ("", HERE):
    del sys.path[0]  # before anything else is imported

from sedistill.common.interpreters import import_path

sys.path[:] = import_path()

from sedistill.common.interruption import heard, ignore_signals  # noqa: E402


def main() -> None:
    """What `sedistill` runs."""
    with heard():
        try:
            from sedistill.cli import main as run

            run()
        finally:
            ignore_signals()  # the work is done: a signal now must not look like a failure


if __name__ == "__main__":
    main()

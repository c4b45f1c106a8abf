"""`python -m sedistill` is the `sedistill` command, which imports nothing from the current folder."""

import os
import sys

if sys.path and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]  # before anything else is imported

from sedistill.interpreters import import_path

sys.path[:] = import_path()

from sedistill.cli import main  # noqa: E402

main()

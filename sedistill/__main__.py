"""`python -m sedistill` is the `sedistill` command."""

from sedistill.cli import main

main()

"""Every command of `sedistill`, by subject. What a command needs is imported when it runs."""

import os

from sedistill.cli import data, enhancing, judging, papers, shipping, training, using
from sedistill.cli.ending import ends_in_words, flush_output
from sedistill.cli.shared_options import app
from sedistill.common.console import prepare_streams
from sedistill.common.devices import WAITING_THREADS

__all__ = ["app", "main"]

for command in (  # in the order in which `sedistill --help` lists them
    training.distil,
    data.prepare,
    data.mix,
    judging.advise,
    training.train,
    judging.evaluate,
    judging.compare,
    judging.analyze,
    judging.crossover,
    papers.reproduce,
    papers.recipes,
    enhancing.enhance,
    shipping.export,
    shipping.benchmark,
    using.check,
    using.models,
    using.demo,
):
    app.command()(command)


def main() -> None:
    """The `sedistill` command."""
    for name, value in WAITING_THREADS.items():  # before torch is imported
        os.environ.setdefault(name, value)
    try:
        with ends_in_words(None):  # while typer builds the commands, too
            prepare_streams()
            app()
    finally:
        flush_output()

"""How a command ends: in one sentence, with an exit code that tells what happened, and how to go on."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any, NoReturn

from typer.core import TyperGroup

from sedistill.common.errors import UserError
from sedistill.common.interruption import came, finished, heard, safe_moment
from sedistill.common.reading import printable
from sedistill.common.torchrun import refuse_for_several

RESUMED = ("distil", "train", "reproduce", "demo")
"""Commands that go on where they stopped."""


class Commands(TyperGroup):
    """Says in one sentence what ended a command, and how to go on.

    A user's mistake, and what the system refuses, is exit code 2; an interruption 128 and the signal's
    number, as shells have it. Typer would turn Ctrl-C into a silent exit before it gets to `main`.
    """

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        with ends_in_words(None):
            return super().make_context(*arguments, **named)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, text in pairwise(["the command", *args]):
            if text == "" or (text.startswith("--") and text.endswith("=")):
                place = f"after {before}" if text == "" else f"for {text[:-1]}"
                raise UserError(f"an empty text {place} names nothing; give it a value, or leave it out.")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = super().resolve_command(ctx, args)
        refuse_for_several(found[0] or "")
        return found

    def invoke(self, ctx: Any) -> None:
        with ends_in_words(ctx):
            safe_moment()
            super().invoke(ctx)


@contextmanager
def ends_in_words(ctx: Any) -> Iterator[None]:
    """Whatever ends the work in here is told, and the process exits."""
    with heard():
        try:
            yield
        except UserError as error:
            end_with(told_with_output(f"sedistill: {printable(str(error))}", error.__cause__), 2)
        except KeyboardInterrupt as interruption:
            end_interrupted(ctx, str(interruption))
        except Exception as error:
            if came() is not None:  # an interrupted library may say so in many ways
                end_interrupted(ctx)
            if not isinstance(error, OSError) or error.errno is None:
                raise
            from sedistill.common.writing.disk_errors import reason_in_words

            where = "" if error.filename is None else f"{printable(os.fsdecode(error.filename))}: "
            end_with(told_with_output(f"sedistill: {where}{reason_in_words(error)}.", error), 2)


def end_interrupted(ctx: Any, way_on: str = "") -> NoReturn:
    """Say how to go on after Ctrl-C, a plain kill or a closed terminal.

    `way_on`: what the work that was interrupted says itself.
    """
    command = getattr(ctx, "invoked_subcommand", None)
    if command in RESUMED:
        default = "the same command line goes on where it stopped"
    elif finished():
        default = f"{finished()} is written, and whole"
    else:
        default = "nothing was written, and the same command line starts afresh"
    number = came() or signal.SIGINT
    by = "" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
    end_with(f"\nsedistill: interrupted{by}; {way_on or default}.", 128 + number)


def end_with(sentence: str, code: int) -> NoReturn:
    with suppress(OSError, ValueError):  # the terminal may be gone
        print(sentence, file=sys.stderr, flush=True)
    sys.exit(code)


def told_with_output(sentence: str, cause: BaseException | None) -> str:
    """A sentence, and a second one where what was printed is lost for another reason than this cause."""
    lost = undelivered()
    if lost is None or (isinstance(cause, OSError) and cause.errno == lost.errno):
        return sentence
    return f"{sentence}\n{lost_text(lost)}"


def flush_output() -> None:
    """What was printed and cannot be delivered, to a full disk say, is not lost in silence."""
    if lost := undelivered():
        end_with(lost_text(lost), 2)


def lost_text(lost: OSError) -> str:
    from sedistill.common.writing.disk_errors import reason_in_words

    return f"sedistill: what was to be printed could not be: {reason_in_words(lost)}."


def undelivered() -> OSError | None:
    """Why what was printed cannot be delivered, after which it is dropped; None where it can."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        return error
    return None

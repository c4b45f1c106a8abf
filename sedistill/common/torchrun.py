"""One process becomes one of several that torchrun, or whoever sets its variables, has started, and ends so.

A fault is told once, by the process that meets it first: the others end without a word, with the same code.
"""

import contextlib
import hashlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from sedistill.common.errors import UserError
from sedistill.common.interruption import came, safe_moment

FAULT = "fault"
LAST_WORDS_SECONDS = 3.0
"""So long whoever keeps the notes waits for the others to read that it has failed."""
START_SECONDS = 300.0
"""So long processes wait for each other at the start."""
ANSWER_MINUTES = 30
"""So long one waits for another's answer, as for the slowest one's batch."""
SHARED = ("train", "evaluate")
"""Commands in which several processes work together."""
NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class _Asked:
    """What the environment says of this process."""

    rank: int
    local_rank: int
    count: int


def asked_for(environment: Mapping[str, str]) -> _Asked | None:
    """Which of how many processes this is to be; None where it is to work alone. Raises UserError."""
    if environment.get("WORLD_SIZE") in (None, "", "1"):
        return None
    missing = [name for name in NAMES if not environment.get(name)]
    try:
        rank, count = int(environment.get("RANK", "")), int(environment["WORLD_SIZE"])
    except ValueError:
        rank, count = -1, 0
    if missing or not 0 <= rank < count:
        said = ", ".join(f"{name}={environment.get(name, '')}" for name in NAMES)
        raise UserError(
            f"WORLD_SIZE asks for several processes, but {said} do not say which of them this is and where "
            "they meet; start them with torchrun, or take WORLD_SIZE out of the environment."
        )
    local_rank = environment.get("LOCAL_RANK", "")
    return _Asked(rank, int(local_rank) if local_rank.isdecimal() else rank, count)


def starts_processes(wanted: int) -> bool:
    """Whether this process is to start so many that train, which nobody has yet. Raises UserError.

    wanted: hardware.devices.
    """
    beside = os.environ.get("LOCAL_WORLD_SIZE")
    if beside is None and asked_for(os.environ) is None:
        return wanted > 1
    if wanted > 1 and beside not in (None, str(wanted)):
        raise UserError(
            f"hardware.devices = {wanted}, but {beside} processes were started on this machine; take it out "
            "of the recipe, or give torchrun the same number (--nproc-per-node)."
        )
    return False


def refuse_for_several(command: str) -> None:
    """Raise UserError, in the first process, where torchrun started a command that works alone."""
    asked = None if command in SHARED else asked_for(os.environ)
    if asked is None:
        return
    _end_where_known(asked)
    if asked.rank:
        sys.exit(2)
    _let_know(asked)
    raise UserError(
        f"`sedistill {command}` is the work of one process; start it without torchrun, which is for "
        f"{' and '.join(f'`sedistill {one}`' for one in SHARED)}."
    )


@contextmanager
def joined() -> Iterator[None]:
    """Inside, this process works together with the others; alone, where nobody says there are any.

    Of all but the first nothing is printed. Where it is not the first that has something to say, it raises
    SystemExit with the code of whoever has.
    """
    asked = asked_for(os.environ)
    if asked is None:
        yield
        return
    _end_where_known(asked)
    import torch.distributed as dist

    from sedistill.common import ranks

    if dist.is_initialized():
        raise UserError("torch.distributed is in use already; let `train` start it.")
    store = _meet(asked, dist)
    group = ranks.Group(asked.rank, asked.local_rank, asked.count, store, lambda: _end_where_told(store))
    ranks.enter(group)
    try:
        with _silent(asked.rank > 0):
            yield
    except UserError as mistake:
        if not mistake.may_pass:
            _let_know(asked)
        if not _claim(store, dist, 2, asked):
            _end_as_told(store)
        raise
    except KeyboardInterrupt:
        code = 128 + (came() or signal.SIGINT)
        _claim(store, dist, code, asked)
        if asked.rank:
            sys.exit(code)
        raise
    except ranks.OthersLostError:
        if not _claim(store, dist, 2, asked):
            _end_as_told(store)
        raise UserError(
            f"process {asked.rank} of {asked.count} lost the others: one was ended from outside, as the "
            "system does when memory runs out, or the network between them failed; the same command goes on "
            "from the last checkpoint, and with `torchrun --max-restarts` it does so by itself."
        ) from None
    except Exception:
        if not _claim(store, dist, 1, asked):
            _end_as_told(store)
        raise
    finally:
        ranks.enter(None)
        _leave(store, dist, asked)


def _known_mistake() -> Path | None:
    """Where a user's mistake is noted for the processes that torchrun starts again on this machine.

    Beside the folders of torchrun's attempts, RUN/attempt_N/RANK/error.json, which it takes away itself.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    return Path(place).parents[2] / "mistake" if place else None


def _let_know(asked: _Asked) -> None:
    place = _known_mistake()
    if place is not None:
        with contextlib.suppress(OSError):
            place.write_text(str(asked.count), encoding="utf-8")


def _end_where_known(asked: _Asked) -> None:
    """End without a word where so many processes were started before, and have told the user's mistake."""
    place = _known_mistake()
    with contextlib.suppress(OSError):
        if place is not None and place.read_text(encoding="utf-8") == str(asked.count):
            sys.exit(2)


def _meet(asked: _Asked, dist: Any) -> Any:
    """Find the others. Returns where they leave notes."""
    import torch

    # Whoever imports this later, as DDP does, makes the group a default argument of its functions, for good:
    # gloo's threads then outlive `destroy_process_group`, and may abort the process where Python tidies up.
    import torch.distributed.nn

    place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    try:
        patience = timedelta(seconds=START_SECONDS)
        notes = next(dist.rendezvous("env://", timeout=patience))[0]
        store = dist.PrefixStore(
            _attempt(notes, asked.rank, asked.count) if _agent_keeps_notes() else "all", notes
        )
        dist.init_process_group(
            backend,
            store=store,
            rank=asked.rank,
            world_size=asked.count,
            timeout=timedelta(minutes=ANSWER_MINUTES),
        )
    except (RuntimeError, ValueError, TimeoutError) as error:
        if "EADDRINUSE" in str(error) or "in use" in str(error):
            raise UserError(
                f"MASTER_PORT: {place}, where the processes are to meet, is in use by another program; "
                "choose another port (torchrun --master-port)."
            ) from None
        raise UserError(
            f"process {asked.rank} of {asked.count} did not find the others at {place} within "
            f"{START_SECONDS:g} s; start all of them, and choose an address (MASTER_ADDR) and a port that "
            "they can reach."
        ) from None
    return dist.PrefixStore("sedistill", store)


def _agent_keeps_notes() -> bool:
    """Whether torchrun keeps the notes, over restarts; else the first process does, for these alone."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _attempt(notes: Any, rank: int, count: int) -> str:
    """A name for what all of so many processes that start together now share; waits until all are there.

    Torchrun keeps the notes of processes that it has started again, who must not be taken for these; how
    often it did, the torchruns of several machines count apart. So each process leaves a word of its own, and
    goes on once all have found the same words.
    """
    own = secrets.token_hex(8)
    places = [f"{count} processes/{number}" for number in range(count)]
    notes.set(places[rank], own)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        words = notes.multi_get(places) if notes.check(places) else []
        if own.encode() in words:
            name = hashlib.sha256(b"".join(words)).hexdigest()
            notes.set(f"{name}/{rank}", "found")
            if notes.check([f"{name}/{number}" for number in range(count)]):
                return name
        safe_moment()
        time.sleep(0.1)
    raise TimeoutError


def _claim(store: Any, dist: Any, code: int, asked: _Asked) -> bool:
    """Note for the others that the work has ended; whether this process is the first to, and so tells why."""
    try:
        first = bool(store.add("ended", 1) == 1)
        if first:
            store.set(FAULT, str(code))
    except RuntimeError:
        # Whoever keeps the notes, as the first does without torchrun, was killed: it waits for their readers.
        first = asked.rank == 1
    with contextlib.suppress(RuntimeError):
        dist.destroy_process_group()  # whoever waits for this process hears that it has gone
    return first


def _told(store: Any) -> int | None:
    """The exit code of the process that has told why the work ended, if one has."""
    try:
        return int(store.get(FAULT).decode()) if store.check([FAULT]) else None
    except RuntimeError:
        return 2


def _end_where_told(store: Any) -> None:
    if (code := _told(store)) is not None:
        sys.exit(code)


def _end_as_told(store: Any) -> NoReturn:
    sys.exit(_told(store) or 2)


def _leave(store: Any, dist: Any, asked: _Asked) -> None:
    """Let go of the others; whoever keeps the notes goes last, or they could not read them."""
    with contextlib.suppress(RuntimeError):
        left = store.add("left", 1)
        keeps = asked.rank == 0 and not _agent_keeps_notes()
        until = time.monotonic() + LAST_WORDS_SECONDS
        while keeps and left < asked.count and time.monotonic() < until:
            time.sleep(0.05)
            left = store.add("left", 0)
    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


@contextmanager
def _silent(silent: bool) -> Iterator[None]:
    if not silent:
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield

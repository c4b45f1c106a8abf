"""Bytes of a file in a folder or behind a URL, asked for again while they cannot be had."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.extras import needed

LONGEST_WAIT_SECONDS = 15.0
_ANSWER_SECONDS = 60
_NOT_MENDED_BY_WAITING = (PermissionError, ValueError, NotImplementedError, ImportError)


class ShardError(UserError):
    """A shard that stays missing, damaged or out of reach. `shard` is its place."""

    def __init__(self, shard: str, reason: str, may_pass: bool) -> None:
        super().__init__(
            f"the shard {shard} cannot be used: {reason}; mend that and give the same command again, or set "
            "data.shards.skip_missing=true to train without what lies in it."
        )
        self.shard, self.reason, self.may_pass = shard, reason, may_pass

    def __reduce__(self) -> tuple[type["ShardError"], tuple[str, str, bool]]:
        return ShardError, (self.shard, self.reason, self.may_pass)


class DamagedError(Exception):
    """Bytes came, but not those that were written."""


def is_mended_by_waiting(error: Exception) -> bool:
    """Whether the same may go well later. Each file system has its own class for credentials that lack."""
    lacks_credentials = "credentials" in type(error).__name__.lower()
    return not (lacks_credentials or isinstance(error, _NOT_MENDED_BY_WAITING))


def is_url(place: str) -> bool:
    return "://" in place


def file_system(place: str) -> tuple[Any, str]:
    """fsspec's file system for a folder or URL, and the path in it. Raises UserError where it has none."""
    fsspec = needed("fsspec", "shards", f"reading {place}")
    protocol = place.split("://")[0]
    options: dict[str, Any] = {}
    if protocol in ("http", "https"):
        aiohttp = needed("aiohttp", "shards", f"reading {place}")
        options["client_kwargs"] = {"timeout": aiohttp.ClientTimeout(total=_ANSWER_SECONDS)}
    try:
        # Its instances are kept for each thread, but do not survive a fork.
        return fsspec.core.url_to_fs(place, skip_instance_cache=True, **options)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{place} cannot be read: {str(error).rstrip('.')}; install that, or mend the URL."
        ) from None


class Ranges:
    """Parts of the files in one place, for any number of processes.

    Args:
        place: a folder or a URL that fsspec knows.
        patience_seconds: how long what fails is tried again, with longer and longer waits between.
    """

    def __init__(self, place: str, patience_seconds: float) -> None:
        self.place, self.patience_seconds = place.rstrip("/"), patience_seconds
        self._given_up: dict[str, ShardError] = {}
        self._opened: tuple[int, Any, str] | None = None

    def where(self, name: str) -> str:
        """The place of a file."""
        return f"{self.place}/{name}" if is_url(self.place) else str(Path(self.place, name))

    def read(self, name: str, first: int, end: int, is_sound: Callable[[bytes], bool]) -> bytes:
        """Bytes `first` to `end` of a file. Raises ShardError at the end of patience, and from then on."""
        if name in self._given_up:
            raise self._given_up[name].with_traceback(None)
        until, wait, told = time.monotonic() + self.patience_seconds, 1.0, False
        while True:
            try:
                return self._read_once(name, first, end, is_sound)
            except Exception as error:  # each file system has its own
                reason, hopeless = _reason(error), not is_mended_by_waiting(error)
            left = until - time.monotonic()
            if hopeless or left <= 0:
                self._given_up[name] = ShardError(self.where(name), reason, may_pass=not hopeless)
                raise self._given_up[name].with_traceback(None)
            if not told:
                print(f"note: {self.where(name)}: {reason}; trying again for {left:.0f} s.", flush=True)
                told = True
            time.sleep(min(wait, left))
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _read_once(self, name: str, first: int, end: int, is_sound: Callable[[bytes], bool]) -> bytes:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *file_system(self.place))
        _, files, root = self._opened
        data = files.cat_file(f"{root}/{name}", start=first, end=end)
        if len(data) != end - first:
            raise DamagedError(
                f"{len(data)} bytes came instead of {end - first}: cut short, or without ranges"
            )
        if not is_sound(data):
            raise DamagedError(f"bytes {first} to {end} are not those that were written")
        return data


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    text = str(getattr(error, "strerror", None) or error).splitlines()
    return (text[0] if text else type(error).__name__).rstrip(". ")

"""Hashes of files and facts, so that one flipped bit is noticed."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sedistill.common.reading import require_file, why_no_file

CHECKSUM = "checksum"
"""The key under which facts in a YAML file hold their own checksum."""

_SEAL = b"\nsha256:"
_SEAL_BYTES = len(_SEAL) + 64
_BLOCK_BYTES = 1 << 20


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises UserError for what is no file."""
    return file_digest(path).hexdigest()


def file_digest(path: Path | str) -> "hashlib._Hash":
    """SHA-256 of a file's bytes, to be gone on with. Raises UserError for what is no file."""
    require_file(path, "put a good copy in its place")
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest


def bytes_hash(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def joint_hash(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash of several named things, from the name and the hash of each, in the order of their names."""
    digest = hashlib.sha256()
    for name, one in hashes:
        digest.update(f"{len(os.fsencode(name))} {name}\t{one}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def seal(data: bytes | memoryview) -> bytes:
    """What to write after `data`, so that `unsealed` can tell whether it is still as it was written."""
    return _SEAL + bytes_hash(data).encode()


def unsealed(data: bytes) -> memoryview | None:
    """The data before a seal; None when they are not what was sealed, or were never sealed."""
    content, end = memoryview(data)[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    return content if len(data) > _SEAL_BYTES and end == seal(content) else None


def with_checksum(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with a checksum over all of them, which does not hang on how they are spelt in YAML."""
    return {**facts, CHECKSUM: facts_checksum(facts)}


def facts_checksum(facts: Mapping[str, Any]) -> str:
    """The checksum of plain facts (numbers, text, lists, mappings); a checksum among them is left out."""
    others = {name: value for name, value in facts.items() if name != CHECKSUM}
    return bytes_hash(json.dumps(others, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))


def is_as_written(facts: Mapping[str, Any]) -> bool:
    """Whether facts fit their checksum; those from before there were any hold none, and are believed."""
    return CHECKSUM not in facts or facts[CHECKSUM] == facts_checksum(facts)


def read_sealed_zip(path: Path) -> memoryview | bytes | None:
    """The bytes of a zip file (a checkpoint, an .npz) that was written with a seal.

    None when it is missing, no file, damaged or cut short. Files from before there were seals are held
    against the checksums that every member of a zip has.
    """
    if why_no_file(path):
        return None
    try:
        data = path.read_bytes()
        content = unsealed(data)
        if content is not None:
            return content
        ends_there = data[-22:-18] == b"PK\x05\x06"  # else what follows is a damaged seal
        with zipfile.ZipFile(path) as file:
            return data if ends_there and file.testzip() is None else None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError):
        return None

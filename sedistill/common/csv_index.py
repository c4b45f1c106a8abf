"""What a CSV file of many rows says, as arrays in a file beside it that is mapped into memory.

So a start costs no parsing, no more of it is in memory than is looked at, and what is, all processes share.
The file is one of safetensors, which many programs read. It holds the CSV file's hash: it is never older.
"""

import hashlib
import json
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sedistill.common.errors import UserError
from sedistill.common.integrity import facts_checksum, file_hash
from sedistill.common.reading import why_no_file
from sedistill.common.writing import atomic_path

INDEX = ".index"
"""The suffix of the file beside a CSV file of the same name."""
WORTH_AN_INDEX = 1 << 20
"""Bytes of a CSV file; a smaller one is read within 0.1 s."""

Arrays = Mapping[str, NDArray]
Facts = dict[str, str]
_DTYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64, "F64": np.float64}
_BLOCK_BYTES = 1 << 20
_SEAL = "seal"


def indexed(table: Path, kind: str, build: Callable[[], tuple[Arrays, Facts]]) -> tuple[Arrays, Facts]:
    """The columns of a CSV file, and what else was found out about it; under "of" its hash.

    An index that is not there, is damaged or is of another state of the file is built and written; where it
    cannot be written, or the file is small, what was built stays in memory. Raises UserError as `build` does.

    Args:
        kind: what `build` makes of the file, with its version.
        build: reads the file.
    """
    path, facts = table.with_suffix(INDEX), {"of": file_hash(table), "kind": kind}
    found = _read(path, facts)
    if found is not None:
        return found
    arrays, more = build()
    if table.stat().st_size < WORTH_AN_INDEX:
        return arrays, facts | more
    try:
        _write(path, arrays, facts | more, table.stat().st_mode)
        return _read(path, facts) or (arrays, facts | more)
    except (UserError, OSError):  # read-only, say: the next start builds it again
        return arrays, facts | more


def _write(path: Path, arrays: Arrays, facts: Facts, mode: int) -> None:
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    digests = {
        name: _described(array.shape, array.dtype, hashlib.sha256(array.data))
        for name, array in plain.items()
    }
    with atomic_path(path) as temporary:
        save_file(plain, temporary, {**facts, _SEAL: facts_checksum({**facts, "arrays": digests})})
        temporary.chmod(stat.S_IMODE(mode))  # safetensors lets nobody else read it


def _read(path: Path, wanted: Facts) -> tuple[Arrays, Facts] | None:
    """None where there is none, or a damaged one, or one that is not of what is wanted."""
    if why_no_file(path):
        return None
    try:
        with safe_open(path, "np") as file:  # refuses what does not fit together
            facts = dict(file.metadata() or {})
        seal = facts.pop(_SEAL, "")
        if any(facts.get(name) != value for name, value in wanted.items()):
            return None
        arrays, digests = _mapped(path)
    except (SafetensorError, OSError, ValueError, KeyError):
        return None
    return (arrays, facts) if seal == facts_checksum({**facts, "arrays": digests}) else None


def _mapped(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Every array and its digest, for which it is read, and not mapped: so it need not stay in memory."""
    arrays, digests = {}, {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, end = (8 + length + place for place in entry["data_offsets"])
            file.seek(first)
            digest = hashlib.sha256()
            for start in range(first, end, _BLOCK_BYTES):
                digest.update(file.read(min(_BLOCK_BYTES, end - start)))
            shape, dtype = tuple(entry["shape"]), _DTYPES[entry["dtype"]]
            # A memmap as a plain array, which is faster to look into. Of nothing there is none.
            mapped = np.memmap(file, dtype, "r", first, shape) if end > first else np.empty(shape, dtype)
            arrays[name] = mapped.view(np.ndarray)
            digests[name] = _described(shape, np.dtype(dtype), digest)
    return arrays, digests


def _described(shape: tuple[int, ...], dtype: np.dtype, digest: "hashlib._Hash") -> str:
    return f"{dtype} {shape} {digest.hexdigest()}"

"""The order of clips in a corpus, and what there is of each split and kind."""

from typing import Any

import numpy as np

from sedistill.data.clip_table import ClipTable
from sedistill.data.layouts.timit_noisex92 import SIMILAR

SPLIT_ORDER = ("train", "valid", "test", "test_with_reverb", SIMILAR)


def split_rank(split: str) -> int:
    return SPLIT_ORDER.index(split) if split in SPLIT_ORDER else -1


def in_order(clips: ClipTable) -> ClipTable:
    """The clips by split, kind, root, path and start."""
    cells = np.stack([clips.codes[name] for name in ("split", "kind", "root")], axis=1)
    _, first, cell_of = np.unique(cells, axis=0, return_index=True, return_inverse=True)

    def named(cell: int) -> tuple[int, str, str]:
        split, kind, root = (clips.text(name, first[cell]) for name in ("split", "kind", "root"))
        return split_rank(split), kind, root

    rows = [np.empty(0, np.int64)]
    for cell in sorted(range(len(first)), key=named):
        found = np.flatnonzero(cell_of.reshape(-1) == cell)
        found = found[np.argsort(clips.numbers["start"][found], kind="stable")]
        paths = list(clips.texts["path"].among(found))
        rows.append(found[sorted(range(len(found)), key=paths.__getitem__)])
    return clips.take(np.concatenate(rows))


def counts(clips: ClipTable, sample_rate: int) -> dict[str, dict[str, Any]]:
    """{"train clean": {"files": ..., "hours": ..., "groups": ...}, ...} in the order of the splits."""
    cells = {
        (split, kind): np.flatnonzero(clips.is_in("split", split) & clips.is_in("kind", kind))
        for split in clips.choices["split"]
        for kind in clips.choices["kind"]
    }
    return {
        f"{split} {kind}": {
            "files": len(cells[split, kind]),
            "hours": round(int(clips.numbers["frames"][cells[split, kind]].sum()) / sample_rate / 3600, 5),
            "groups": len(np.unique(clips.codes["group"][cells[split, kind]])),
        }
        for split, kind in sorted(cells, key=lambda cell: (split_rank(cell[0]), cell[1]))
        if len(cells[split, kind])
    }

"""Links the recordings whose licences allow giving trained weights away into a new folder, by the manifest.

python recipes/ready-made/select_recordings.py DATA FOLDER [AWAY]

With AWAY, whole sources are left out of FOLDER and linked there instead, as one split `test`: what nothing in
FOLDER has a recording in common with.
"""

import csv
import sys
from pathlib import Path

# No licence for it, or one that does not let trained weights be given to anybody for any use.
LEFT_OUT = {
    "Alejandro-131004/AC-II",
    "JonBoley/matlab_real_time_sound",
    "done-n-dusted/accent-recognition-noisy-data",
    "gavinli95/PiezoBuds",
    "speechdnn/Noises",
}
SPEECH_ONLY = {"modelscope/ClearerVoice-Studio"}  # the origin of its noise is not stated

# VCTK's voices; NOISEX-92, UrbanSound8K and one more collection of noise.
AWAY = {
    "auspicious3000/autovc",
    "yl4579/StarGANv2-VC",
    "JonBoley/matlab_real_time_sound",
    "Alejandro-131004/AC-II",
    "speechdnn/Noises",
}


def may_be_given_away(row: dict[str, str]) -> bool:
    """Whether weights to be given away may learn from what a line of the manifest names."""
    source = row["source_repo"]
    return source not in LEFT_OUT and (row["kind"] == "clean" or source not in SPEECH_ONLY)


def select(data: Path, folder: Path, away: Path | None) -> None:
    """`folder` gets the layout of `data` (clean, noise and their splits)."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        rows = [row for row in csv.DictReader(manifest) if row["kind"] in ("clean", "noise")]
    at_home = [row for row in rows if row["split"] and may_be_given_away(row)]
    if away is not None:
        at_home = [row for row in at_home if row["source_repo"] not in AWAY]
        foreign = [row for row in rows if row["source_repo"] in AWAY]
        _link(data, away, {row["path"]: _in_test(row["path"]) for row in foreign})
    _link(data, folder, {row["path"]: Path(row["path"]) for row in at_home})


def _in_test(path: str) -> Path:
    kind, _, *below = Path(path).parts
    return Path(kind, "test", *below)


def _link(data: Path, folder: Path, places: dict[str, Path]) -> None:
    for path, place in places.items():
        link = folder / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((data / path).resolve())
    print(f"{len(places)} recordings linked into {folder}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    source, target, *rest = map(Path, sys.argv[1:])
    select(source, target, rest[0] if rest else None)

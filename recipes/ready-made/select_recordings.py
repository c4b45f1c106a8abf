"""Links the recordings whose licences allow giving trained weights away into a new folder, by the manifest.

python recipes/ready-made/select_recordings.py DATA FOLDER
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


def may_be_given_away(row: dict[str, str]) -> bool:
    """Whether weights to be given away may learn from what a line of the manifest names."""
    source = row["source_repo"]
    return source not in LEFT_OUT and (row["kind"] == "clean" or source not in SPEECH_ONLY)


def select(data: Path, folder: Path) -> int:
    """The number of recordings linked: `folder` gets the layout of `data` (clean, noise and their splits)."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        chosen = [
            row for row in csv.DictReader(manifest) if row["kind"] in ("clean", "noise") and row["split"]
        ]
    chosen = [row for row in chosen if may_be_given_away(row)]
    for row in chosen:
        link = folder / row["path"]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((data / row["path"]).resolve())
    return len(chosen)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(f"{select(Path(sys.argv[1]), Path(sys.argv[2]))} recordings linked")

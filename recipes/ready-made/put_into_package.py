"""Puts a trained network into the package, with its scores in the card, and writes SHA256SUMS anew.

python recipes/ready-made/put_into_package.py NAME STUDENT SCORES
"""

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from sedistill.evaluation.scores import NOISY, load_scores
from sedistill.models.ready_made import FOLDER
from sedistill.models.saving import CARD, model_hash

TITLES = {"vbdemand_test": "25 VoiceBank+DEMAND pairs", "B": "120 mixtures, -5..15 dB"}
METRICS = ("pesq_wb", "stoi", "si_sdr", "noise_only_db", "do_no_harm")


def scores_of(folder: Path) -> dict[str, Any]:
    """By set and metric: the means of the noisy input and of the one network that was scored."""
    found: dict[str, Any] = {}
    for name, scores in load_scores(folder).items():
        (label,) = (model for model in scores.models if model != NOISY)
        systems = {"noisy": NOISY, "enhanced": label}
        found[TITLES[name]] = {
            metric: {system: round(scores.mean(model, metric), 3) for system, model in systems.items()}
            for metric in METRICS
        }
    return found


def put(name: str, student: Path, scores: Path) -> None:
    target = FOLDER / name
    text = (student / CARD).read_text(encoding="utf-8")
    lines = yaml.safe_dump({"scores": scores_of(scores)}, sort_keys=False).splitlines()
    text = text.replace("\ntraining:\n", "\n" + "\n".join(f"  {line}" for line in lines) + "\ntraining:\n", 1)
    target.mkdir(exist_ok=True)
    shutil.copy(student / "model.safetensors", target)
    (target / CARD).write_text(text, encoding="utf-8")
    model_hash(target)  # refuses a card that does not fit its weights
    files = sorted(path for path in FOLDER.rglob("*") if path.suffix in (".safetensors", ".yaml"))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(FOLDER)}" for path in files]
    (FOLDER / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    put(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))

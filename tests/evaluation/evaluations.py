"""Small evaluations on disk, with scores that are made up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sedistill.evaluation.score_files import write_scores
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores

CLIPS = [f"clip{i}" for i in range(8)]
LABELS = {"si_sdr": "SI-SDR", "stoi": "STOI"}


def write_evaluation(
    folder: Path,
    models: Mapping[str, Sequence[float]],
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    clips: Sequence[str] = CLIPS,
    metrics: Sequence[str] = ("si_sdr",),
    sets: Sequence[str] = ("test",),
    noisy: float = 0.0,
    level_correction: str = "on",
    recordings: Sequence[tuple[str, str]] | None = None,
) -> Path:
    """An evaluation of models (label -> a score a clip, the same for every metric and set).

    `recordings` are the utterance and the noise recording of each clip.
    """
    recordings = recordings or [("", "")] * len(clips)
    for name in sets:
        rows = {NOISY: [noisy + i for i in range(len(clips))], **models}
        scores = [
            ClipScore(model, clip, 2.0, 5.0, "babble", dict.fromkeys(metrics, float(value)), {}, *of_clip)
            for model, values in rows.items()
            for clip, value, of_clip in zip(clips, values, recordings, strict=True)
        ]
        about = {
            "set": {"hash": name},
            "metrics": {metric: LABELS[metric] for metric in metrics},
            "level_correction": level_correction,
            "models": {
                model: {"folder": f"runs/few/{model}/student", **(facts or {}).get(model, {})}
                for model in models
            },
        }
        (folder / name).mkdir(parents=True)
        write_scores(folder / name, SetScores(name, list(metrics), scores, about))
    return folder


def scores_around(mean: float, seed: int, spread: float = 0.5, clips: int = len(CLIPS)) -> list[float]:
    """Scores that differ between clips alike for every model, and a little between models."""
    rng = np.random.default_rng(seed)
    return list(mean + np.arange(clips) + spread * rng.standard_normal(clips))

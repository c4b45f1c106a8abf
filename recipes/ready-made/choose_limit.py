"""Saves a FastEnhancer anew with the attenuation limit that a validation set asks for.

python recipes/ready-made/choose_limit.py STUDENT SET NEW [LIMIT]

Of limits from 24 to 40 dB the lowest whose WB-PESQ on the set lies at most 0.02 below the best: of what is
alike to the metric, the one that leaves the most of the room; or LIMIT. The level factor is measured anew.
"""

import math
import sys
from pathlib import Path

import torch

from sedistill import load_model
from sedistill.common.progress import ProgressBar
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.metrics import METRICS
from sedistill.models.base import SpeechEnhancer
from sedistill.models.presets import build_model
from sedistill.models.saving import GIVEN_FIELDS, read_card, save_model
from sedistill.teachers.level_factor import measure_level_factor

LIMITS_DB = (40, 36, 32, 30, 28, 26, 24)
NEAR = 0.02


def with_limit(model: SpeechEnhancer, limit: float | None) -> SpeechEnhancer:
    limited = build_model({"class": "FastEnhancer", **model.settings, "attenuation_limit_db": limit})
    limited.load_state_dict(model.state_dict())
    return limited.eval()


def wb_pesq(model: SpeechEnhancer, dataset: FixedSet, bar: ProgressBar) -> float:
    scores = []
    for noisy, clean in dataset:
        enhanced = model(torch.from_numpy(noisy)[None])[0].numpy()
        scores.append(METRICS["pesq_wb"].value(clean, enhanced, dataset.sample_rate))
        bar.advance()
    return sum(scores) / len(scores)


@torch.no_grad()
def main(student: Path, place: Path, new: Path, given: int | None = None) -> None:
    torch.set_num_threads(1)
    model, dataset = load_model(student), FixedSet(place)
    asked = (None, *LIMITS_DB) if given is None else (given,)
    with ProgressBar("Scoring", len(asked) * len(dataset), "clips") as bar:
        scores = {limit: wb_pesq(with_limit(model, limit), dataset, bar) for limit in asked}
    for limit, score in scores.items():
        print(f"{limit or 'no':>4} dB  {score:.4f}")
    near = [limit for limit, score in scores.items() if score >= max(scores.values()) - NEAR]
    chosen = min(near, key=lambda limit: limit or math.inf)
    limited = with_limit(model, chosen)
    card = {key: value for key, value in read_card(student).items() if key in GIVEN_FIELDS}
    card["metrics"] = {key: value for key, value in card["metrics"].items() if key != "scores"}
    card["metrics"]["validation_pesq_wb"] = round(scores[chosen], 4)
    level = measure_level_factor(limited, dataset, "cpu")
    card["output_gain"] = round(level.factor, 5)
    card["metrics"]["output_gain_5_to_95_percent"] = [round(level.low, 4), round(level.high, 4)]
    save_model(limited, new, card)
    print(f"{chosen or 'no'} dB: {new}")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:4]), *map(int, sys.argv[4:]))

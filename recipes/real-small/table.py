"""The tables of the small comparison, from its runs and evaluations, as Markdown.

    python recipes/real-small/table.py runs/real-small evaluations [--into docs/results.md]

`runs/real-small` holds NAME/seed-N as `sedistill train` left them, `evaluations` holds seed-N as
`sedistill evaluate` did. With --into, the tables replace what stands between the two markers in that file.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sedistill.evaluation.scores import SetScores, load_scores
from sedistill.models.saving import read_card
from sedistill.training.run_folder.logs import read_metrics

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
METRICS = {"pesq_wb": 3, "stoi": 4, "si_sdr": 2}  # digits shown
BASELINE = "alone"
OTHER_PAIRS = (
    ("l2-dispatch", "l2"),
    ("l2-dispatch", "l2-x1.2"),
    ("dfkd-dispatch", "dfkd"),
    ("dfkd-dispatch-mssp", "dfkd-dispatch"),
    ("dfkd-dispatch-mssp-descending", "dfkd-dispatch-mssp"),
    ("complex", "complex-clean"),
    ("complex-keep-0.5", "complex"),
    ("complex-keep-0.5", "complex-random-0.5"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("evaluations", type=Path)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    text = "\n\n".join(tables(options.runs, options.evaluations))
    if options.into is None:
        print(text)
        return
    page = options.into.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    options.into.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def tables(runs: Path, evaluations: Path) -> list[str]:
    by_seed = {int(p.name.removeprefix("seed-")): load_scores(p) for p in sorted(evaluations.glob("seed-*"))}
    set_names = list(next(iter(by_seed.values())))
    parts = []
    for set_name in set_names:
        scores = {seed: sets[set_name] for seed, sets in by_seed.items()}
        clips = len([row for row in scores[min(scores)].clips if row.model == "noisy"])
        parts += [f"### Scores on {set_name} ({clips} clips)", score_table(scores)]
        parts += [f"### Differences on {set_name}, paired by seed", difference_table(scores)]
    return [*parts, "### What happened in training", training_table(runs)]


def score_table(scores: dict[int, SetScores]) -> str:
    rows = []
    for recipe in recipe_names(scores):
        trained_anew = recipe not in ("noisy", "teacher")
        cells = [recipe, str(len(seeds_of(recipe, scores))) if trained_anew else ""]
        for metric, digits in METRICS.items():
            means = [scores[s].mean(label(recipe, scores[s]), metric) for s in seeds_of(recipe, scores)]
            spread = f" ± {statistics.stdev(means):.{digits}f}" if len(means) > 1 and trained_anew else ""
            cells.append(f"{statistics.mean(means):.{digits}f}{spread}")
        rows.append(cells)
    first = next(iter(scores.values()))
    return markdown(["", "seeds", *(first.label(metric) for metric in METRICS)], rows)


def difference_table(scores: dict[int, SetScores]) -> str:
    """Mean over seeds of the paired difference [each seed], (standard error over clips of that mean)."""
    names = recipe_names(scores)
    pairs = [(name, BASELINE) for name in names if name not in ("noisy", BASELINE)] + list(OTHER_PAIRS)
    rows = []
    for a, b in pairs:
        seeds = [seed for seed in seeds_of(a, scores) if seed in seeds_of(b, scores)]
        if not seeds:
            continue
        cells = [f"{a} − {b}"]
        for metric, digits in METRICS.items():
            each = np.stack([difference(scores[seed], a, b, metric) for seed in seeds])
            of_seeds = ", ".join(f"{value:+.{digits}f}" for value in np.nanmean(each, axis=1))
            over_clips = np.nanmean(each, axis=0)
            error = np.nanstd(over_clips, ddof=1) / np.sqrt(np.isfinite(over_clips).sum())
            cells.append(f"{np.nanmean(each):+.{digits}f} [{of_seeds}] ({error:.{digits}f})")
        rows.append(cells)
    first = next(iter(scores.values()))
    return markdown(["", *(first.label(metric) for metric in METRICS)], rows)


def difference(scores: SetScores, a: str, b: str, metric: str) -> np.ndarray:
    """Score of `a` minus that of `b`, clip by clip."""
    values = {}
    for row in scores.clips:
        values.setdefault(row.model, {})[row.clip] = row.values[metric]
    clips = values["noisy"]
    of_a, of_b = values[label(a, scores)], values[label(b, scores)]
    return np.array([of_a[clip] - of_b[clip] for clip in clips])


def training_table(runs: Path) -> str:
    rows = []
    for folder in sorted(path for path in runs.iterdir() if path.is_dir()):
        seeds = sorted(path for path in folder.glob("seed-*") if (path / "student").exists())
        if not seeds:
            continue
        cards = [read_card(seed / "student") for seed in seeds]
        curves = [read_metrics(seed) for seed in seeds]
        rows.append(
            [
                folder.name,
                spread([card["metrics"]["validation_loss"] for card in cards], 2),
                ", ".join(str(card["training"]["best_step"]) for card in cards),
                spread([card["training"]["minutes"] for card in cards], 1),
                spread([at_step(curve.get("gradient/kd_over_se", []), 300) for curve in curves], 2),
                spread([last(curve.get("gradient/kd_over_se", [])) for curve in curves], 2),
                spread([mean(curve["gradient/clipped_share"]) for curve in curves], 2),
                ", ".join(f"{card['output_gain']:.2f}" for card in cards),
            ]
        )
    header = ["", "validation loss, dB", "best step", "minutes", "KD/SE gradient, step 300", "at the end",
              "share of clipped steps", "factor onto clean"]  # fmt: skip
    return markdown(header, rows)


def recipe_names(scores: dict[int, SetScores]) -> list[str]:
    models = dict.fromkeys(model for one in scores.values() for model in one.models)
    return list(dict.fromkeys(recipe_of(model) for model in models))


def recipe_of(model: str) -> str:
    """Models are labelled by their paths, NAME/seed-N/student or parts of it."""
    return next(part for part in model.split("/") if part not in ("runs", "real-small"))


def label(recipe: str, scores: SetScores) -> str:
    return next(model for model in scores.models if recipe_of(model) == recipe)


def seeds_of(recipe: str, scores: dict[int, SetScores]) -> list[int]:
    return [s for s, one in scores.items() if any(recipe_of(model) == recipe for model in one.models)]


def at_step(curve: Sequence[tuple[int, float]], step: int) -> float:
    """Mean of the values logged within 100 steps of `step`."""
    near = [value for at, value in curve if abs(at - step) <= 100]
    return statistics.mean(near) if near else float("nan")


def last(curve: Sequence[tuple[int, float]]) -> float:
    return statistics.mean([value for _, value in curve[-5:]]) if curve else float("nan")


def mean(curve: Sequence[tuple[int, float]]) -> float:
    return statistics.mean(value for _, value in curve)


def spread(values: Sequence[float], digits: int) -> str:
    if any(value != value for value in values):
        return "–"
    text = f"{statistics.mean(values):.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {statistics.stdev(values):.{digits}f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()

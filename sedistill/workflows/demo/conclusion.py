"""What came out of the demo, in sentences that claim no more than its scores bear out."""

from collections.abc import Mapping

import numpy as np

from sedistill.common.report.figures import Role
from sedistill.evaluation.comparing.alignment import align
from sedistill.evaluation.comparing.comparison import compare_methods
from sedistill.evaluation.comparing.report_text import interval_text
from sedistill.evaluation.metrics import METRICS as QUALITY
from sedistill.evaluation.scores import SetScores
from sedistill.training.run_folder.logs import read_metrics
from sedistill.workflows.demo.demo_folder import METRICS, STUDENTS, Demo
from sedistill.workflows.training_page import NAMES


def verdict(scores: SetScores, labels: Mapping[Role, str], demo: Demo) -> list[str]:
    """What the scores say and what they do not, one paragraph each."""
    balance = read_metrics(demo.place("runs/distilled")).get("gradient/kd_over_se", [])
    ratio = float(np.median([value for _, value in balance])) if balance else float("nan")
    return [
        _against_noisy(scores, labels),
        _of_distillation(demo),
        "One run of each, one seed, a few minutes of training and synthetic speech say little about a "
        "method: another seed can turn such differences round. To find out, train until nothing improves "
        "any more, on real recordings, with several seeds, and compare seed by seed.",
        "Every network's output is brought to the level of the clean speech by one factor measured on the "
        "validation set. Over the run, the gradient of the distillation term was "
        f"{ratio:.2f} times as long as that of the enhancement term (median).",
    ]


def _against_noisy(scores: SetScores, labels: Mapping[Role, str]) -> str:
    """Whether the students are worth using at all."""
    below = [
        f"{NAMES[role]} in {QUALITY[metric].label}"
        for role in STUDENTS
        for metric in scores.metrics
        if scores.improvement_statistic(labels[role], metric).mean <= 0
    ]
    if below:
        return f"Not above the noisy input: {', '.join(below)}. There the network does more harm than good."
    return "Both students are above the noisy input in every metric."


def _of_distillation(demo: Demo) -> str:
    """What the teacher added, as far as these clips can tell."""
    sets = align([demo.place("evaluation")], list(METRICS))
    comparison = compare_methods(sets, baseline="alone", methods=["distilled"])
    rows = [row for row in comparison.differences if row.method == "distilled"]
    told = [
        f"{QUALITY[row.metric].label} {interval_text(row.over_clips, QUALITY[row.metric].digits)}"
        for row in rows
    ]
    signs = [np.sign(row.over_clips.mean) for row in rows if row.over_clips.p_t < 0.05]
    if not signs:
        verdict = "nothing that can be told from chance"
    elif len(set(signs)) > 1:
        verdict = "better in some and worse in others"
    else:
        verdict = "a gain" if signs[0] > 0 else "a loss"
    return (
        f"What distillation added: {verdict}. Distilled minus alone, with 95 % intervals over clips: "
        f"{'; '.join(told)}."
    )

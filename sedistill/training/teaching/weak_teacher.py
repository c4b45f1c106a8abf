"""A teacher that is worse than the noisy input is said before hours go into learning from it."""

import numpy as np
import torch

from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.metrics import METRICS
from sedistill.teachers.source import TeacherSource

CLIPS = 10
JUDGED_BY = ("pesq_wb", "si_sdr")


def weak_teacher_warning(teacher: TeacherSource, clips: FixedSet, device: torch.device) -> str | None:
    """A sentence with figures where a teacher is below the noisy input by WB-PESQ or SI-SDR; else None.

    Over a few clips taken evenly, and over those of them where the metric is defined for both.
    """
    few = clips.evenly(CLIPS)
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in JUDGED_BY}
    for index in range(len(few)):
        noisy, clean = few[index]
        estimate = teacher.on_clip(few, index, device)
        for name, found in scores.items():
            try:
                value = METRICS[name].value
                found.append((value(clean, noisy, few.sample_rate), value(clean, estimate, few.sample_rate)))
            except (MetricUndefined, UserError):  # too short or silent; or its package is not installed
                continue
    told = []
    for name, found in scores.items():
        if found:
            noisy_mean, mean = np.mean(found, axis=0)
            metric = METRICS[name]
            if mean < noisy_mean - 10**-metric.digits:  # else it is rounding
                unit = f" {metric.unit}" if metric.unit == "dB" else ""
                digits = metric.digits
                told.append(f"{metric.label} {mean:.{digits}f} (noisy {noisy_mean:.{digits}f}){unit}")
    if not told:
        return None
    return (
        f"the teacher {teacher.name} is worse than the noisy input on {len(few)} clips of {few.folder}: "
        f"{', '.join(told)}; a student learns that too."
    )

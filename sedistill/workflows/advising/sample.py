"""The clips on which a teacher is looked at, and what it, the student and nobody make of them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sedistill.audio import levels
from sedistill.common.devices import usable_cores
from sedistill.common.errors import UserError
from sedistill.common.progress import track
from sedistill.data.fixed_sets import FixedSet
from sedistill.evaluation.checks import MetricUndefined
from sedistill.evaluation.metrics import METRICS
from sedistill.inference.enhancing.arrays import enhance
from sedistill.models.base import SpeechEnhancer
from sedistill.teachers.foreign import ForeignTeacher, InStep, Wave
from sedistill.teachers.measuring import measure
from sedistill.teachers.opening import measure_on
from sedistill.teachers.source import TeacherSource
from sedistill.teachers.teacher_settings import TeacherFrom
from sedistill.teachers.threads import in_order
from sedistill.workflows.advising.nearness import Heard

SCORED_BY = ("pesq_wb", "stoi", "si_sdr")


def take_sample(teacher: TeacherSource, student: SpeechEnhancer | None, clips: FixedSet) -> list[Heard]:
    """Every clip with the estimates; student None: it has learnt nothing that could be compared."""
    foreign = isinstance(teacher.teacher, InStep)
    estimates = in_order(partial(teacher.on_clip, clips), range(len(clips)), usable_cores() if foreign else 1)
    sample = []
    for index, estimate in enumerate(track(estimates, len(clips), "Listening to the teacher", "clips")):
        noisy, clean = clips[index]
        waves = {"noisy": noisy, "clean": clean, "teacher": estimate}
        if student is not None:
            waves["student"] = enhance(student, noisy, clips.sample_rate)
        snr_db = float(clips.snr_db[index])
        if np.isnan(snr_db):
            snr_db = levels.snr_db(clean, noisy - clean, clips.sample_rate)
        sample.append(Heard(waves, snr_db, clips.noise_classes[index].decode(errors="replace")))
    return sample


def with_measures(teacher: TeacherSource, named: str | TeacherFrom, clips: FixedSet) -> TeacherSource:
    """The teacher with what is measured of it; a saved model is never late."""
    if isinstance(named, TeacherFrom):
        return measure_on(teacher, named, clips)
    return replace(teacher, measured=measure(InStep(_Raw(teacher), clips.sample_rate), clips, delay_ms=0.0))


class _Raw(ForeignTeacher):
    """A saved model as it comes, at its own level."""

    def __init__(self, source: TeacherSource) -> None:
        super().__init__(source.name, source.hash, source.teacher.sample_rate)
        self.source = replace(source, level_factor=1.0)

    def clean(self, noisy: Wave, sample_rate: int) -> Wave:
        return self.source.on_wave(noisy)


def scores_of(sample: Sequence[Heard], sample_rate: int) -> dict[str, dict[str, float]]:
    """Means by signal and metric over the clips on which all of them have a value.

    Of the metrics whose packages are there.
    """
    names = [name for name in ("noisy", "student", "teacher") if name in sample[0].waves]
    scores: dict[str, dict[str, float]] = {name: {} for name in names}
    for metric in SCORED_BY:
        values = np.array([[_value(metric, one, name, sample_rate) for name in names] for one in sample])
        known = values[np.isfinite(values).all(axis=1)]
        for name, of_name in zip(names, known.T, strict=True):
            if len(known):
                scores[name][metric] = float(of_name.mean())
    return scores


def _value(metric: str, clip: Heard, name: str, sample_rate: int) -> float:
    try:
        return METRICS[metric].value(clip.waves["clean"], clip.waves[name], sample_rate)
    except (MetricUndefined, UserError):  # too short or silent; or a package that is not installed
        return math.nan

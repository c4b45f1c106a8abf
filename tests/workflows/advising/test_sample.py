"""Scores of a sample: of the clips on which everything has a score."""

import numpy as np
import pytest

from sedistill.evaluation.metrics import si_sdr
from sedistill.workflows.advising.nearness import Heard
from sedistill.workflows.advising.sample import scores_of
from tests.evaluation.signals import RATE, noise, speech_like


def test_a_clip_that_the_teacher_mutes_does_not_count_for_the_noisy_input_either() -> None:
    clean = speech_like(1.0)
    loud, quiet = (clean + noise(len(clean), level) for level in (0.2, 0.01))
    heard = [
        Heard({"noisy": loud, "clean": clean, "teacher": np.zeros_like(clean)}, -10.0, "rain"),
        Heard({"noisy": quiet, "clean": clean, "teacher": 0.5 * (quiet + clean)}, 10.0, "rain"),
    ]
    scores = scores_of(heard, RATE)
    assert scores["noisy"]["si_sdr"] == pytest.approx(si_sdr(clean, quiet))
    assert scores["teacher"]["si_sdr"] > scores["noisy"]["si_sdr"]

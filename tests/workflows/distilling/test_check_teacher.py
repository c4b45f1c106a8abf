"""Whether a teacher is good enough is told by the clips on which it and the noisy input have a score."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sedistill.common.errors import UserError
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores
from sedistill.workflows.distilling import stages


def test_a_teacher_that_mutes_the_worst_clips_is_not_better_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {NOISY: (3.0, 1.0), "teacher": (2.5, math.nan)}
    rows = [
        ClipScore(model, f"c{number}", 3.0, 5.0, "", dict.fromkeys(stages.CHECKED_BY, value))
        for model, of_model in values.items()
        for number, value in enumerate(of_model)
    ]
    scores = SetScores("valid", list(stages.CHECKED_BY), rows, {})
    monkeypatch.setattr(stages, "kept_scores", lambda *_: scores)
    work: Any = SimpleNamespace(place=tmp_path.joinpath, asked=SimpleNamespace(weak_teacher=False))
    with pytest.raises(UserError, match=r"PESQ-WB 2\.500 \(noisy 3\.000, on 1 alone\), STOI"):
        stages.check_teacher(work, Path("teacher"))

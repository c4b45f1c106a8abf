"""Clips are scored where the test runs: the tests of evaluations have the processes that do it for users."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sedistill.evaluation import clip_scoring
from sedistill.evaluation.metric_process import Score, ScoringProcess, answer_of
from sedistill.evaluation.metrics import Part


class ScoredHere(ScoringProcess):
    """Without a process, which would import the metrics again."""

    def _start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def score(
        self,
        clean: NDArray[np.float32],
        estimate: NDArray[np.float32],
        sample_rate: int,
        metrics: Sequence[str],
    ) -> dict[str, Score]:
        known_parts: dict[Part, Any] = {}
        found = {name: answer_of(name, clean, estimate, sample_rate, known_parts) for name in metrics}
        assert not any(isinstance(answer, RuntimeError) for answer in found.values()), found
        return found  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def _scored_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_scoring, "ScoringProcess", ScoredHere)

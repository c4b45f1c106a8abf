"""Names of models and sets: what tells their paths apart."""

from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.evaluation.labels import distinct_labels, file_names
from sedistill.evaluation.scores import NOISY


def test_labels_are_names_or_what_tells_the_paths_apart(tmp_path: Path) -> None:
    def labels(*places: str, taken: str = "") -> list[str]:
        return distinct_labels([tmp_path / place for place in places], "model", taken)

    assert labels("a/student") == ["student"]
    assert labels("a/student", "b/teacher") == ["student", "teacher"]
    assert labels("runs/a/seed-0/student", "runs/b/seed-0/student") == ["a", "b"]
    assert labels("runs/a/seed-0/student", "runs/b/seed-1/student") == ["a/seed-0", "b/seed-1"]
    assert labels("runs/a/0/x/student", "runs/b/1/x/best") == ["student", "best"]
    assert labels("runs/a/seed-0/student", "runs/a/seed-1/student") == ["seed-0", "seed-1"]
    assert labels("student", "deeper/student") == ["student", "deeper/student"]
    assert labels("a/student", "b/student", "a/teacher") == ["a/student", "b/student", "a/teacher"]
    assert labels(f"x/{NOISY}", taken=NOISY) == [f"x/{NOISY}"]
    assert labels(f"{NOISY}/m", "b/m", taken=NOISY) == [f"{NOISY}/m", "b/m"]
    deep = labels(f"{NOISY}/seed-0/student", "b/seed-0/student", taken=NOISY)
    assert deep == [f"{NOISY}/seed-0/student", "b/seed-0/student"]
    assert file_names(["a/b", "a-b", "a-b-2", "c"]) == ["a-b", "a-b-2", "a-b-2-2", "c"]


def test_a_folder_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="named twice"):
        distinct_labels([tmp_path / "a", tmp_path / "a"], "model")

"""The benchmark of a step runs, and what it prints are ratios."""

import argparse

import pytest

from benchmarks import bench_step


def test_every_question_gets_a_ratio() -> None:
    options = argparse.Namespace(rounds=1, batch=1, seconds=0.2, threads=1)
    kept, _ = bench_step.kept_teacher_over_none("convtasnet-tiny", 1.5, options)
    loss, added = bench_step.shares_of_live_step(options)
    assert float(str(kept["median"])) == pytest.approx(1.3, rel=5)
    assert 0 < float(str(loss["median"])) < 1
    assert -1 < float(str(added["median"])) < 1

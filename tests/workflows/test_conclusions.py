"""What the page concludes, from scores whose differences are known."""

import numpy as np
import pytest
from scipy import stats

from sedistill.evaluation.scores import ClipScore, SetScores
from sedistill.workflows.conclusions import difference, difference_text, is_better, verdicts

LABELS = {"noisy": "noisy", "distilled": "m/distilled", "alone": "m/alone", "teacher": "t"}


def scores(added: list[float], above: float = 0.3, recordings: int = 100) -> SetScores:
    """PESQ of clips: 1.5 noisy, alone `above` higher, distilled by `added` higher than alone."""
    clips = []
    for label, offset in (
        ("noisy", 0.0), ("m/distilled", above), ("m/alone", above), ("t", 2 * above + 0.01),
    ):  # fmt: skip
        for number, more in enumerate(added):
            value = 1.5 + offset + (more if label == "m/distilled" else 0.0)
            clips.append(
                ClipScore(
                    label, f"{number:03d}", 4.0, 5.0, "rain", {"pesq_wb": value},
                    utterance=f"u{number % recordings}", noise_recording=f"n{number % recordings}",
                )
            )  # fmt: skip
    return SetScores("test", ["pesq_wb"], clips, {})


def test_the_difference_is_paired_over_clips() -> None:
    added = [0.1, 0.2, 0.0, 0.4, 0.3]
    test = difference(scores(added), "m/distilled", "m/alone", "pesq_wb")
    low, high = stats.t.interval(0.95, 4, np.mean(added), stats.sem(added))
    assert test.mean == pytest.approx(0.2)
    assert (test.low, test.high) == pytest.approx((low, high))


def test_nothing_has_no_sign() -> None:
    test = difference(scores([-0.0001, -0.0002, 0.0001]), "m/distilled", "m/alone", "pesq_wb")
    assert difference_text(test, "pesq_wb") == "PESQ-WB +0.000 MOS (+0.000 to +0.000)"


def test_clips_that_share_a_recording_are_not_independent() -> None:
    added = [0.1, 0.2, 0.15, 0.12, 0.18, 0.2, 0.11, 0.14]
    free = difference(scores(added), "m/distilled", "m/alone", "pesq_wb")
    shared = difference(scores(added, recordings=2), "m/distilled", "m/alone", "pesq_wb")
    assert shared.mean == free.mean
    assert shared.high - shared.low > free.high - free.low


def test_clips_without_a_value_are_left_out() -> None:
    some = scores([0.1, 0.3, np.nan])
    test = difference(some, "m/distilled", "m/alone", "pesq_wb")
    assert (test.n, test.mean) == (2, pytest.approx(0.2))
    assert difference(scores([np.nan]), "m/distilled", "m/alone", "pesq_wb").n == 0


@pytest.mark.parametrize(
    ("added", "sentence", "better"),
    [
        ([0.1, 0.12, 0.09, 0.11], "The teacher helped, by PESQ-WB.", True),
        ([-0.1, -0.12, -0.09, -0.11], "The teacher did harm, by PESQ-WB.", False),
        ([-0.1, 0.12, -0.09, 0.11], "The teacher added nothing that these clips can tell from chance.", None),
        ([0.0, 0.0, 0.0, 0.0], "The teacher added nothing that these clips can tell from chance.", None),
    ],
)
def test_the_verdict_follows_the_interval(added: list[float], sentence: str, better: bool | None) -> None:
    some = scores(added)
    told = verdicts(some, LABELS)
    assert told[0].startswith(sentence)
    assert is_better(difference(some, "m/distilled", "m/alone", "pesq_wb"), "pesq_wb") is better
    assert "seed" in told[-1]


def test_a_student_below_noisy_is_called_so() -> None:
    good, bad = (verdicts(scores([0.01, 0.02, 0.03], above), LABELS) for above in (0.3, -0.3))
    assert not any("worse than the noisy input" in one for one in good)
    assert sum("worse than the noisy input" in one for one in bad) == 2  # distilled and alone


def test_without_a_twin_nothing_is_said_of_the_teacher() -> None:
    told = verdicts(scores([0.1, 0.2]), {name: LABELS[name] for name in ("noisy", "distilled", "teacher")})
    assert told[0].startswith("The distilled student against the noisy input")
    assert not any("seed" in one for one in told)


def test_few_recordings_are_told() -> None:
    few = verdicts(scores([0.1] * 8, recordings=2), LABELS)
    many = verdicts(scores([0.1] * 8), LABELS)
    assert any("of 2 speech and 2 noise recordings" in one and "say little" in one for one in few)
    assert any("of 8 speech and 8 noise recordings" in one for one in many)
    assert not any("say little" in one for one in many)


def test_noise_alone_and_clean_speech_are_told_apart() -> None:
    some = scores([0.1, 0.1])
    for row in some.clips:
        row.values |= {"noise_only_db": 0.0 if row.model == "noisy" else -20.0, "do_no_harm": 4.0}
    both = SetScores("test", ["pesq_wb", "noise_only_db", "do_no_harm"], some.clips, {})
    told = verdicts(both, LABELS)
    assert told[:3] == verdicts(some, LABELS)[:3]  # nothing is compared with the noisy input by these
    assert told[3].endswith("distilled student -20.0, student alone -20.0, teacher -20.0.")
    assert told[4].endswith("4.644 at most: distilled student 4.000, student alone 4.000, teacher 4.000.")

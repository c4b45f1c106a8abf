"""Evaluations are put together only where clips, sets and networks fit, and the first misfit is named."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from sedistill.common.errors import UserError
from sedistill.evaluation.comparing.alignment import align
from tests.evaluation.evaluations import CLIPS, scores_around, write_evaluation


def one(tmp_path: Path, name: str, **changed: object) -> Path:
    models = {"alone/seed-0": scores_around(5.0, 0), "kd/seed-0": scores_around(6.0, 1)}
    return write_evaluation(tmp_path / name, models, **changed)  # type: ignore[arg-type]


def test_seeds_of_several_evaluations_become_one_method(tmp_path: Path) -> None:
    zero = one(tmp_path, "zero")
    ones = scores_around(5.5, 2)
    another = write_evaluation(tmp_path / "one", {"alone/seed-1": ones})
    (aligned,) = align([zero, another])
    assert (aligned.name, aligned.clips, aligned.methods) == ("test", CLIPS, ["alone", "kd"])
    assert aligned.metrics == {"si_sdr": "SI-SDR, dB"}
    assert {method: list(by_seed) for method, by_seed in aligned.scores.items()} == {
        "noisy": [None], "alone": [0, 1], "kd": [0],
    }  # fmt: skip
    np.testing.assert_allclose(aligned.scores["alone"][1], [ones])


def test_clips_in_another_order_are_put_in_order(tmp_path: Path) -> None:
    zero, another = one(tmp_path, "a"), write_evaluation(tmp_path / "b", {"alone/seed-1": range(8)})
    table = another / "test" / "clips.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *reversed(rows)]))
    facts = another / "test" / "evaluation.yaml"  # as from before tables had a hash
    lines = facts.read_text().splitlines()
    facts.write_text("\n".join(line for line in lines if not line.startswith("clips_sha256")))
    (aligned,) = align([zero, another])
    np.testing.assert_array_equal(aligned.scores["alone"][1], [np.arange(8)])


def test_the_first_differing_clip_is_named(tmp_path: Path) -> None:
    whole, renamed = one(tmp_path, "a"), one(tmp_path, "b", clips=[*CLIPS[:-1], "other"])
    with pytest.raises(UserError, match=r"different clips of test: clip7 is only in .*a; evaluate both"):
        align([whole, renamed])
    models = {"kd/seed-1": scores_around(5.0, 3)[:-1]}
    fewer = write_evaluation(tmp_path / "c", models, clips=CLIPS[:-1])
    with pytest.raises(UserError, match=r"clip7 is only in .*a"):
        align([fewer, whole])


def test_equal_names_of_other_recordings_are_told_by_the_noisy_input(tmp_path: Path) -> None:
    first, second = one(tmp_path, "a"), one(tmp_path, "b", noisy=0.1)
    with pytest.raises(UserError, match=r"clip clip0 of test differs: SI-SDR, dB of the noisy input is 0 in"):
        align([first, second])


def test_other_sets_metrics_and_levels_are_refused(tmp_path: Path) -> None:
    first = one(tmp_path, "a", metrics=("si_sdr", "stoi"))
    second = one(tmp_path, "b", sets=("test", "pairs"))
    with pytest.raises(UserError, match=r"b has the set pairs, .*a has only test;.* as in .*b/pairs"):
        align([first, second])
    assert list(align([first, second / "test"])[0].metrics) == ["si_sdr"]
    with pytest.raises(UserError, match=r"b/test has no metric stoi; known are si_sdr"):
        align([first, second / "test"], ["stoi"])
    with pytest.raises(UserError, match=r"no metric si_sdi; did you mean si_sdr"):
        align([first], ["si_sdi"])
    assert list(align([first], ["stoi", "si_sdr", "stoi"])[0].metrics) == ["stoi", "si_sdr"]
    with pytest.raises(UserError, match="no metric in common"):
        align([one(tmp_path, "c", metrics=("stoi",)), second / "test"])
    with pytest.raises(UserError, match=r"level correction is on in .*a and off in .*d"):
        align([first, one(tmp_path, "d", level_correction="off")])
    with pytest.raises(UserError, match="at least one"):
        align([])
    with pytest.raises(UserError, match="holds no evaluation"):
        align([tmp_path / "nowhere"])


def test_the_same_network_may_come_twice_but_not_two_of_one_name(tmp_path: Path) -> None:
    first, again = one(tmp_path, "a"), one(tmp_path, "b")
    assert align([first, again, first])[0].scores["kd"][0].shape == (1, 8)
    retrained = write_evaluation(tmp_path / "c", {"kd/seed-0": scores_around(7.0, 9)})
    with pytest.raises(
        UserError, match=r"two different networks kd of seed 0, the second being kd/seed-0 in"
    ):
        align([first, retrained])


def test_a_recipe_called_noisy_is_not_taken_for_the_input(tmp_path: Path) -> None:
    models = {"student": scores_around(9.0, 0), "alone/seed-0": scores_around(5.0, 1)}
    place = write_evaluation(tmp_path / "a", models, {"student": {"recipe": "noisy", "seed": 0}})
    with pytest.raises(UserError, match=r"the recipe of student in .* is called noisy"):
        align([place])


def test_undefined_scores_stay_undefined(tmp_path: Path) -> None:
    values = scores_around(5.0, 0)
    values[2] = float("nan")
    (aligned,) = align([write_evaluation(tmp_path / "a", {"kd/seed-0": values})])
    assert np.isnan(aligned.scores["kd"][0][0]).tolist() == [False, False, True, *[False] * 5]


def test_a_model_that_lacks_a_clip_is_named(tmp_path: Path) -> None:
    place = one(tmp_path, "a") / "test" / "clips.csv"
    lines = place.read_text().splitlines()
    place.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="is not whole: kd/seed-0 lacks clip clip7; evaluate again"):
        align([tmp_path / "a"])


def test_scores_on_other_versions_of_a_set_do_not_compare(tmp_path: Path) -> None:
    """The clips have their names and the noisy input its scores, yet a clean file is another."""
    one_place, other = one(tmp_path, "a"), one(tmp_path, "b")
    for place, version in ((one_place, "a" * 64), (other, "b" * 64)):
        facts = place / "test" / "evaluation.yaml"
        written = yaml.safe_load(facts.read_text())
        facts.write_text(yaml.safe_dump({**written, "set": {"folder": "sets/test", "hash": version}}))
    align([one_place])
    with pytest.raises(UserError, match=r"different versions of test \(its hash was aaaaaaaaaaaa, then bbbb"):
        align([one_place, other])

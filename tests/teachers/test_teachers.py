"""Teachers: frozen, at the right level, and their kept outputs never used for anything else."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sedistill.common.errors import UserError
from sedistill.data.fixed_sets import FixedSet
from sedistill.models.presets import build_model
from sedistill.models.ready_made import saved_folder
from sedistill.models.saving import model_hash, save_model
from sedistill.teachers.cached import OutputCache
from sedistill.teachers.level_factor import (
    LevelFactor,
    level_factors,
    level_warning,
    measure_level_factor,
    summarize_factors,
)
from sedistill.teachers.opening import open_teacher
from sedistill.teachers.source import CachedOutputs, TeacherSource
from tests.training.conftest import TINY_NETWORK, write_pairs


@pytest.fixture
def teacher(tmp_path: Path) -> TeacherSource:
    return make_teacher(tmp_path / "teacher", seed=0)


def make_teacher(folder: Path, seed: int) -> TeacherSource:
    torch.manual_seed(seed)
    save_model(build_model(TINY_NETWORK), folder, {"output_gain": -0.5})
    return open_teacher(folder, 16_000)


@pytest.fixture
def clips(tmp_path: Path) -> FixedSet:
    return FixedSet(write_pairs(tmp_path / "set", clips=5, seed=3))


@given(scale=st.floats(0.01, 100), sign=st.sampled_from([1, -1]), seed=st.integers(0, 9))
def test_factor_undoes_scale_and_sign(scale: float, sign: int, seed: int) -> None:
    torch.manual_seed(seed)
    clean = torch.randn(3, 200)
    factor = level_factors(sign * scale * clean, clean)
    torch.testing.assert_close(factor, torch.full((3,), sign / scale, dtype=torch.float64), rtol=1e-5, atol=0)


def test_factor_by_hand() -> None:
    estimate, clean = torch.tensor([[1.0, -1.0, 2.0, -2.0]]), torch.tensor([[2.0, -2.0, 1.0, -1.0]])
    for offset in (0.0, 0.3):  # on both, as a recording and what a network leaves of it have
        factor = level_factors(estimate + offset, clean + offset)
        assert float(factor) == pytest.approx(4 / 5)
    assert math.isnan(float(level_factors(torch.full((1, 50_000), 0.1), torch.randn(1, 50_000))))
    assert math.isnan(float(level_factors(torch.zeros(1, 4), clean)))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_network_that_gives_nan_does_not_pass_for_a_silent_one(clips: FixedSet, broken: float) -> None:
    class Broken(torch.nn.Module):
        def forward(self, noisy: torch.Tensor) -> torch.Tensor:
            return torch.where(torch.arange(noisy.shape[1]) == 7, broken, noisy)

    with pytest.raises(UserError, match=r"NaN or infinite samples for .*000\.flac"):
        measure_level_factor(Broken(), clips, "cpu")


def test_a_teacher_with_weights_of_nan_is_refused(tmp_path: Path) -> None:
    network = build_model(TINY_NETWORK)
    with torch.no_grad():
        next(network.parameters())[0] = math.nan
    save_model(network, tmp_path / "teacher")
    with pytest.raises(UserError, match="cannot teach: its weight encoder"):
        open_teacher(tmp_path / "teacher", 16_000)


def test_under_autocast_a_live_teacher_gives_what_a_kept_one_gave(
    teacher: TeacherSource, clips: FixedSet, tmp_path: Path
) -> None:
    outputs = OutputCache(tmp_path / "kept", clips, teacher).open(batch_size=1)
    for index in range(len(clips)):
        noisy = torch.from_numpy(clips[index][0])[None]
        exact = teacher(noisy)
        with torch.autocast("cpu", torch.bfloat16):
            live = teacher(noisy)
        assert live.dtype == torch.float32
        assert torch.equal(live, exact)
        kept = torch.from_numpy(CachedOutputs(outputs, teacher.level_factor)[index])
        assert torch.equal(kept, live[0])


def test_silent_clips_do_not_count() -> None:
    level = summarize_factors(torch.tensor([0.7, float("nan"), 0.8, 0.9], dtype=torch.float64))
    assert level.factor == pytest.approx(0.8)
    assert summarize_factors(torch.tensor([float("nan")])) == LevelFactor(1.0, 1.0, 1.0)


@pytest.mark.parametrize(("factor", "words"), [(-0.9, "inverted"), (0.7, "loud"), (1.4, "quiet")])
def test_odd_levels_are_warned_about(factor: float, words: str) -> None:
    assert words in str(level_warning(factor))
    assert level_warning(1.05) is None


def test_teacher_applies_its_factor_and_has_no_gradient(teacher: TeacherSource) -> None:
    noisy = torch.randn(2, 900, requires_grad=True)
    assert not teacher(noisy).requires_grad
    torch.testing.assert_close(teacher(noisy), -0.5 * teacher.raw(noisy))
    assert open_teacher(Path(teacher.name), 16_000, correct_level=False).level_factor == 1.0
    assert not any(p.requires_grad for p in teacher.network.parameters())


def test_outputs_are_the_teachers(teacher: TeacherSource, clips: FixedSet, tmp_path: Path) -> None:
    outputs = OutputCache(tmp_path / "kept", clips, teacher).open(batch_size=2)
    for index in range(len(clips)):
        live = teacher.raw(torch.from_numpy(clips[index][0])[None])[0].numpy()
        np.testing.assert_allclose(outputs[index], live, rtol=1e-5, atol=1e-7)


def test_outputs_are_computed_once(
    teacher: TeacherSource, clips: FixedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = OutputCache(tmp_path / "kept", clips, teacher)
    first = np.array(kept.open())
    monkeypatch.setattr(TeacherSource, "raw", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(kept.open(), first)


def test_outputs_of_another_teacher_or_set_are_never_used(
    teacher: TeacherSource, clips: FixedSet, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    mine = OutputCache(kept, clips, teacher).open()
    other = OutputCache(kept, clips, make_teacher(tmp_path / "other", seed=1)).open()
    assert not np.array_equal(mine, other)
    other_set = FixedSet(write_pairs(tmp_path / "set2", clips=5, seed=4))
    assert not np.array_equal(mine, OutputCache(kept, other_set, teacher).open())
    assert len(list(kept.iterdir())) == 3


def test_a_teacher_with_another_setting_is_another_although_its_weights_are_the_same(tmp_path: Path) -> None:
    shutil.copytree(saved_folder("fastenhancer-t"), tmp_path / "bold")
    card = yaml.safe_load((tmp_path / "bold" / "card.yaml").read_text())
    card["settings"]["attenuation_limit_db"], card["checksum"] = 6.0, "edited"
    (tmp_path / "bold" / "card.yaml").write_text(yaml.safe_dump(card))
    known, bold = (open_teacher(one, 16_000) for one in ("fastenhancer-t", tmp_path / "bold"))
    noisy = torch.from_numpy(0.1 * np.random.default_rng(0).standard_normal((1, 4_000), np.float32))
    assert not torch.equal(known(noisy), bold(noisy))
    assert known.hash != bold.hash
    assert known.hash == model_hash("fastenhancer-t")  # outputs kept by earlier versions stay known


@pytest.mark.parametrize("harm", ["truncate", "alter", "foreign card"])
def test_damaged_outputs_are_named_and_computed_again(
    teacher: TeacherSource, clips: FixedSet, tmp_path: Path, capsys: pytest.CaptureFixture, harm: str
) -> None:
    kept = OutputCache(tmp_path / "kept", clips, teacher)
    first = np.array(kept.open())
    content = bytearray(kept.path.read_bytes())
    if harm == "truncate":
        kept.path.write_bytes(content[:-10])
    elif harm == "alter":
        content[100] ^= 1
        kept.path.write_bytes(content)
    else:
        card = kept.folder / "outputs.yaml"
        card.write_text(card.read_text().replace(teacher.hash, "a" * 64))
    np.testing.assert_array_equal(kept.open(), first)
    reason = {"truncate": "incomplete", "alter": "damaged", "foreign card": "another teacher"}[harm]
    assert reason in capsys.readouterr().out


def test_any_flipped_bit_in_kept_outputs_is_noticed(
    teacher: TeacherSource, clips: FixedSet, tmp_path: Path
) -> None:
    """40 places each at the beginning, in the middle and at the end; some in the card as well."""
    kept = OutputCache(tmp_path / "kept", clips, teacher)
    kept.open()
    card, random = kept.folder / "outputs.yaml", np.random.default_rng(0)
    whole, end = kept.path.read_bytes(), kept.path.stat().st_size
    for first, last in ((0, 100), (100, end - 100), (end - 100, end)):
        for position in random.integers(first, last, 40).tolist():
            changed = bytearray(whole)
            changed[position] ^= 1 << int(random.integers(8))
            kept.path.write_bytes(changed)
            assert kept._fault() == "the file was changed or damaged"
    kept.path.write_bytes(whole)
    text = card.read_bytes()
    for position in range(0, text.index(b"samples"), 5):
        card.write_bytes(text[:position] + bytes([text[position] ^ 1]) + text[position + 1 :])
        assert kept._fault()


def test_interrupted_computation_goes_on_where_it_stopped(
    teacher: TeacherSource, clips: FixedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.array(OutputCache(tmp_path / "whole", clips, teacher).open(batch_size=2))
    kept = OutputCache(tmp_path / "kept", clips, teacher)
    raw, asked = TeacherSource.raw, []

    def raw_then_stop(self: TeacherSource, noisy: torch.Tensor) -> torch.Tensor:
        asked.append(len(noisy))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return raw(self, noisy)

    with monkeypatch.context() as patch:
        patch.setattr(TeacherSource, "raw", raw_then_stop)
        with pytest.raises(KeyboardInterrupt):
            kept.open(batch_size=2)
    asked.clear()
    monkeypatch.setattr(
        TeacherSource, "raw", lambda self, noisy: asked.append(len(noisy)) or raw(self, noisy)
    )
    np.testing.assert_array_equal(kept.open(batch_size=2), whole)
    assert asked == [2, 1]


class Late:
    """A teacher from elsewhere, which is no module: half the sound of its input, 7 samples later."""

    name, hash, sample_rate, latency = "late", "0" * 64, 16_000, 7

    def __call__(self, noisy: torch.Tensor) -> torch.Tensor:
        return 0.5 * torch.nn.functional.pad(noisy, (self.latency, 0))[:, : noisy.shape[1]]


def test_a_late_teacher_is_brought_into_step_live_and_cached(clips: FixedSet, tmp_path: Path) -> None:
    source = TeacherSource(Late(), level_factor=2.0)
    noisy = torch.randn(2, 300)
    torch.testing.assert_close(source(noisy), noisy)
    outputs = OutputCache(tmp_path / "kept", clips, source).open()
    np.testing.assert_allclose(CachedOutputs(outputs, 2.0)[1], clips[1][0], rtol=1e-5, atol=1e-7)


def test_a_teacher_that_is_no_network_cannot_be_looked_into() -> None:
    with pytest.raises(UserError, match="late cannot be looked into"):
        assert TeacherSource(Late()).to("cpu").network

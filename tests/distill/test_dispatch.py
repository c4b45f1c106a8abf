from collections.abc import Callable
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import (
    DFKDLoss,
    DISPatch,
    FrequencyAdapter,
    MagnitudeL1,
    MagnitudeL2,
    MultiScalePatches,
    Stft,
    UniformPatches,
)
from sedistill.distill import BIN_LOSSES
from sedistill.distill.bin_losses import BinLoss
from sedistill.distill.ranking import Criterion

from . import reference

# The worked example: 3 bins, 2 frames, patches of 2 bins; gaps in flat order 0.5, 1.5, -1, 4.
CLEAN, TEACHER, STUDENT = (
    torch.tensor([rows], dtype=torch.complex128)
    for rows in ([[1, 0], [2, 1], [3, 2]], [[1, 1], [2, 1], [2, 2]], [[0, 0], [2, 3], [3, 4]])
)


RANKED_BY_CLEAN = [one for one in get_args(Criterion) if one not in ("removed", "agreement", "random")]


def waves(
    batch: int = 3, samples: int = 1200, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    clean = 0.1 * torch.randn(batch, samples, dtype=dtype)
    return clean + 0.05 * torch.randn_like(clean), clean + 0.02 * torch.randn_like(clean), clean


class TestByHand:
    @pytest.mark.parametrize(("keep", "loss"), [(0.1, 4), (0.5, 3), (1.0, 11 / 6)])
    def test_default(self, keep: float, loss: float) -> None:
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), keep)
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(loss)

    @pytest.mark.parametrize(("keep", "loss"), [(0.1, 10), (0.5, 3.25), (1.0, 2)])
    def test_equation_6_as_printed(self, keep: float, loss: float) -> None:
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), keep, normalizer="eq6")
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(loss)

    @pytest.mark.parametrize(("keep", "loss"), [(0.1, 4), (0.5, 3.25), (1.0, 2)])
    def test_each_patch_alike(self, keep: float, loss: float) -> None:
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), keep, normalizer="patches")
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(loss)

    def test_positive_gaps_only(self) -> None:
        # All four would be kept; the one with gap -1 (bin 2 of frame 0, error 1) is dropped: 10 over 5 bins.
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), 1.0, gate="teacher_over_student")
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(2)

    def test_no_positive_gap_is_exactly_0_with_a_gradient(self) -> None:
        student = CLEAN.clone().requires_grad_()
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), 0.5, gate="teacher_over_student")
        loss = kd.on_spectra(student, TEACHER, CLEAN)
        loss.backward()
        assert loss == 0
        assert (student.grad == 0).all()

    @pytest.mark.parametrize(
        ("score", "loss"),
        [
            # student errors .5, 2, 0, 4; teacher errors 0, .5, 1, 0; KD sums 1, 5, 1, 4 over 2, 2, 1, 1 bins
            ("student_top", 4),  # 4 in patch 3
            ("student_bottom", 1),  # 0 in patch 2
            ("teacher_top", 1),  # 1 in patch 2
            ("teacher_bottom", 0.5),  # 0 in patches 0 and 3: the first
        ],
    )
    def test_criteria_of_table_3(self, score: str, loss: float) -> None:
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), 0.25, score=score)
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(loss)

    def test_sums_rank_full_patches_higher(self) -> None:
        # Sums of the student's errors are 1, 4, 0, 4: the first 4 wins, where by means the last does.
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), 0.25, score="student_top", score_reduction="sum")
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(2.5)

    def test_towards_clean_in_the_same_patches(self) -> None:
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), 0.5, target="clean")
        # Patches 3 and 1 again: squared errors towards clean 4 and 4 over 3 bins.
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(8 / 3)

    def test_sums_for_the_score(self) -> None:
        # Gaps as sums 1, 3, -1, 4: patches 3 and 1 are kept.
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), 0.5, score_reduction="sum")
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(3)


SLOW: dict[type[BinLoss], Callable[[complex, complex, bool], float]] = {
    MagnitudeL1: reference.l1,
    MagnitudeL2: reference.l2,
    DFKDLoss: reference.dfkd,
}


@given(
    kind=st.sampled_from(list(SLOW)),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    keep=st.floats(0.01, 1.0),
    score=st.sampled_from(RANKED_BY_CLEAN),
    normalizer=st.sampled_from(["bins", "patches", "eq6"]),
    scan=st.sampled_from(["ascending", "descending"]),
    shape=st.tuples(st.integers(1, 3), st.integers(2, 17), st.integers(1, 5)),
    seed=st.integers(0, 100_000),
)
def test_agrees_with_the_slow_version(
    kind: type[BinLoss],
    sizes: tuple[int, int],
    keep: float,
    score: str,
    normalizer: str,
    scan: str,
    shape: tuple[int, int, int],
    seed: int,
) -> None:
    student, teacher, clean = reference.random_spectra(seed, *shape, dtype=torch.complex128)
    adapter = FrequencyAdapter(scan)
    loss = DFKDLoss(adapter=adapter) if kind is DFKDLoss else kind()
    crossover_of = reference.ascending_crossover if scan == "ascending" else reference.descending_crossover
    for patches, slow_patches in (
        (UniformPatches(sizes[0]), reference.uniform(sizes[0])),
        (MultiScalePatches(*sizes), reference.multi_scale(*sizes)),
    ):
        if patches == MultiScalePatches(sizes[0], sizes[0]):
            slow_patches = reference.uniform(sizes[0])
        kd = DISPatch(loss, patches, keep, score=score, normalizer=normalizer, adapter=adapter)
        expected = reference.dispatch(
            SLOW[kind], slow_patches, keep, student, teacher, clean, crossover_of, normalizer, score
        )
        found = kd.on_spectra(student, teacher, clean).item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


class TestProperties:
    @pytest.mark.parametrize(
        "patches", [UniformPatches(n) for n in (1, 4, 20, 257)] + [MultiScalePatches()], ids=str
    )
    @pytest.mark.parametrize("name", BIN_LOSSES)
    def test_keep_1_is_the_plain_loss(self, name: str, patches: UniformPatches) -> None:
        student, teacher, clean = waves()
        loss = BIN_LOSSES[name]()
        plain = loss(Stft()(student), Stft()(teacher)).mean()
        torch.testing.assert_close(DISPatch(loss, patches, keep=1.0)(student, teacher, clean), plain)
        # Also by way of patches, where nothing positive is demanded but all is kept.
        seen = DISPatch(loss, patches, keep=1.0).explain(student, teacher, clean)
        torch.testing.assert_close(seen.parts["loss"].mean(), plain)

    def test_patches_wider_than_a_small_spectrum(self) -> None:
        kd = DISPatch(MagnitudeL2(), UniformPatches(20), 0.5, normalizer="patches")
        # One patch a frame, KD means 2/3 and 9/3; the gap of the second frame is larger.
        assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(3)

    @pytest.mark.parametrize("patches", [UniformPatches(20), MultiScalePatches()], ids=str)
    def test_gradient_is_exactly_0_outside_the_selected_patches(self, patches: UniformPatches) -> None:
        signals = waves()
        for name, kind in BIN_LOSSES.items():
            kd = DISPatch(kind(), patches, keep=0.4)
            student, teacher, clean = (Stft()(wave).requires_grad_() for wave in signals)
            kd.on_spectra(student, teacher, clean).backward()
            selected = kd.explain(*signals).selected_bins
            assert (student.grad[~selected] == 0).all(), name
            # The lowest and highest bin are real, so phases may agree exactly there.
            assert (student.grad[selected] != 0).float().mean() > 0.98, name
            assert teacher.grad is None, name
            assert clean.grad is None, name

    @pytest.mark.parametrize("name", BIN_LOSSES)
    def test_teacher_equal_to_student_gives_no_loss_and_no_gradient(self, name: str) -> None:
        student, _, clean = waves()
        teacher = student.clone()
        student.requires_grad_()
        loss = DISPatch(BIN_LOSSES[name](), MultiScalePatches(), 0.8)(student, teacher, clean)
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert student.grad.abs().max() < 1e-6

    def test_teacher_equal_to_clean_gives_gaps_that_are_the_student_s_errors(self) -> None:
        student, _, clean = waves()
        seen = DISPatch(MagnitudeL2(), keep=0.8).explain(student, clean, clean)
        assert (seen.gap >= 0).all()
        assert (seen.parts["positive_gap_share"] == 1).all()

    @pytest.mark.parametrize(("loss", "degree"), [(MagnitudeL1(), 1), (MagnitudeL2(), 2)])
    def test_scaling_all_signals_scales_the_loss_and_keeps_the_selection(
        self, loss: BinLoss, degree: int
    ) -> None:
        signals = waves(dtype=torch.float64)
        scaled = [4 * signal for signal in signals]
        kd = DISPatch(loss, MultiScalePatches(), 0.8)
        torch.testing.assert_close(kd(*scaled), 4**degree * kd(*signals))
        assert torch.equal(kd.explain(*scaled).selected, kd.explain(*signals).selected)

    def test_permuting_clips_permutes_their_losses(self) -> None:
        signals = waves()
        order = torch.tensor([2, 0, 1])
        kd = DISPatch(DFKDLoss(), MultiScalePatches(), 0.8)
        shuffled = kd.explain(*(signal[order] for signal in signals)).parts["loss"]
        torch.testing.assert_close(shuffled, kd.explain(*signals).parts["loss"][order])

    def test_selections_are_nested_and_exact(self) -> None:
        signals = waves()
        before: Tensor | None = None
        for keep in (1e-9, 0.1, 0.29, 0.5, 0.8, 1.0):
            seen = DISPatch(DFKDLoss(), MultiScalePatches(), keep).explain(*signals)
            patches = seen.gap.isfinite().sum(dim=(1, 2))
            assert torch.equal(seen.selected.sum(dim=(1, 2)), (patches * keep + 1e-6).long().clamp(min=1))
            assert before is None or not (before & ~seen.selected).any()
            before = seen.selected

    def test_the_same_error_added_to_both_models_leaves_the_gap(self) -> None:
        # Towards a clean spectrum of 0 the L1 error is the magnitude itself.
        student, teacher = torch.rand(2, 1, 6, 4, dtype=torch.float64)
        kd = DISPatch(MagnitudeL1(), UniformPatches(2), keep=0.5)
        added = torch.rand(1, 6, 4, dtype=torch.float64)
        clean = torch.zeros(1, 6, 4, dtype=torch.complex128)
        plain = kd.on_spectra(student + 0j, teacher + 0j, clean)
        # The KD loss | |S| - |T| | does not change either, so equal losses mean equal selections.
        torch.testing.assert_close(kd.on_spectra(student + added + 0j, teacher + added + 0j, clean), plain)

    def test_the_top_bin_counts(self) -> None:
        student, teacher, clean = (Stft()(wave) for wave in waves())
        kd = DISPatch(MagnitudeL2(), UniformPatches(20), 0.8)
        before = kd.on_spectra(student, teacher, clean)
        student = student.clone()
        student[:, -1] += 10
        assert kd.on_spectra(student, teacher, clean) > before

    def test_per_band_keeps_the_share_in_each_band(self) -> None:
        student, teacher, clean = waves()
        seen = DISPatch(
            MagnitudeL2(), MultiScalePatches(), 0.5, per_band=True, adapter=FrequencyAdapter("descending")
        ).explain(student, teacher, clean)
        low_patches = seen.crossover.unsqueeze(1) // 10 + 1
        low = torch.arange(seen.gap.shape[1]).view(1, -1, 1) < low_patches
        for band in (low, ~low & seen.gap.isfinite()):
            expected = (band.sum(dim=(1, 2)) * 0.5 + 1e-6).long()
            assert torch.equal((seen.selected & band).sum(dim=(1, 2)), expected)

    def test_random_selection_follows_torch_s_generator(self) -> None:
        student, teacher, clean = waves()
        kd = DISPatch(MagnitudeL2(), keep=0.5, score="random")
        assert "clean" not in kd.needs
        torch.manual_seed(3)
        first, second = kd(student, teacher), kd(student, teacher)
        torch.manual_seed(3)
        assert kd(student, teacher) == first
        assert first != second
        assert kd.explain(student, teacher, clean).parts["kept_share"].mean().item() == pytest.approx(
            0.5, abs=0.02
        )


def test_explain_and_parts() -> None:
    student, teacher, clean = waves()
    kd = DISPatch(DFKDLoss(), MultiScalePatches(), 0.8)
    seen = kd.explain(student, teacher, clean)
    assert seen.patch_ids.shape == (3, 257, 10)
    assert seen.crossover.shape == (3, 10)
    assert torch.equal(seen.crossover, FrequencyAdapter()(Stft()(teacher).abs()))
    assert seen.gap.shape == seen.selected.shape
    assert not (seen.selected & seen.gap.isnan()).any()
    for gap, selected in zip(seen.gap, seen.selected, strict=True):
        assert gap[selected].min() >= gap[~selected & gap.isfinite()].max()
    assert torch.equal(seen.parts["kept_share"], seen.selected_bins.float().mean(dim=(1, 2)))
    share = (seen.gap > 0).sum(dim=(1, 2)) / seen.gap.isfinite().sum(dim=(1, 2))
    torch.testing.assert_close(seen.parts["positive_gap_share"], share)
    torch.testing.assert_close(seen.parts["crossover_q50"], seen.crossover.float().quantile(0.5, dim=1))
    _, parts = kd.with_parts(student, teacher, clean)
    assert parts.keys() == seen.parts.keys()
    for name, values in seen.parts.items():
        torch.testing.assert_close(parts[name], values.mean())
    assert DISPatch(MagnitudeL2()).explain(student, teacher, clean).crossover is None


def test_the_crossover_is_the_teacher_s_in_every_comparison() -> None:
    student, teacher, clean = (Stft()(wave) for wave in waves())
    kd = DISPatch(DFKDLoss(), UniformPatches(20), 0.5)
    adapter = FrequencyAdapter()
    low = adapter.low_band(adapter(teacher.abs()), 257)
    gap = DFKDLoss()(student, clean, low) - DFKDLoss()(teacher, clean, low)
    means = torch.stack([piece.mean(dim=1) for piece in gap.split(20, dim=1)], dim=1)
    seen = kd.explain(*(Stft().inverse(spectrum, 1200) for spectrum in (student, teacher, clean)))
    torch.testing.assert_close(seen.gap, means, rtol=1e-3, atol=1e-3)

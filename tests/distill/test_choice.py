"""What DISPatch leaves open: patches of several frames, rankings over a batch, thresholds, other metrics."""

from collections import defaultdict
from statistics import fmean, pstdev

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import ComplexL2, DFKDLoss, DISPatch, LogMagnitudeL1, MagnitudeL1, MagnitudeL2, Stft
from sedistill import MultiScalePatches as MultiScale
from sedistill import UniformPatches as Uniform
from sedistill.common.errors import UserError
from sedistill.distill.patches import partition
from sedistill.distill.selection import keep_top

from . import reference
from .signal_objectives import some_signals
from .test_dispatch import CLEAN, STUDENT, TEACHER

NAMES = ("student", "teacher", "clean", "noisy")


def waves(**settings: object) -> dict[str, Tensor]:
    signals = some_signals(**settings)  # type: ignore[arg-type]
    return {name: signals[name] for name in NAMES}


def test_the_paper_s_defaults_bit_for_bit() -> None:
    spectra = {name: Stft()(wave) for name, wave in waves().items() if name != "noisy"}
    for loss, patches in ((MagnitudeL2(), Uniform(20)), (DFKDLoss(), MultiScale(10, 40))):
        seen = DISPatch(loss, patches, 0.8)
        low = crossover = None
        if isinstance(loss, DFKDLoss):
            crossover = loss.adapter(spectra["teacher"].abs())
            low = loss.adapter.low_band(crossover, 257)
        kd, student, teacher = (
            loss(spectra[one], spectra[other], low)
            for one, other in (("student", "teacher"), ("student", "clean"), ("teacher", "clean"))
        )
        parts = partition(patches, kd, crossover)
        selected = keep_top(parts.sums(student - teacher) / parts.counts.clamp(min=1), parts.present, 0.8)
        total = (selected * parts.counts).sum(dim=(1, 2), keepdim=True)
        losses = (parts.sums(kd) * (selected.float() / total)).sum(dim=(1, 2))
        assert torch.equal(seen.on_spectra(**spectra), losses.mean())


@given(
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    frames=st.integers(1, 7),
    keep=st.floats(0.05, 1.0),
    over=st.sampled_from(["clip", "batch"]),
    threshold=st.one_of(st.none(), st.floats(-1, 1)),
    unit=st.sampled_from(["score", "deviations"]),
    normalizer=st.sampled_from(["bins", "patches"]),
    shape=st.tuples(st.integers(1, 3), st.integers(2, 13), st.integers(1, 6)),
    seed=st.integers(0, 100_000),
)
def test_agrees_with_a_slow_version(
    sizes: tuple[int, int],
    frames: int,
    keep: float,
    over: str,
    threshold: float | None,
    unit: str,
    normalizer: str,
    shape: tuple[int, int, int],
    seed: int,
) -> None:
    spectra = reference.random_spectra(seed, *shape, dtype=torch.complex128)
    unit = unit if threshold is not None else "score"
    kd = DISPatch(
        MagnitudeL2(), MultiScale(*sizes, frames=frames), keep, rank_over=over, threshold=threshold,
        threshold_unit=unit, normalizer=normalizer,
    )  # fmt: skip
    expected = slow(*spectra, sizes, frames, keep, over, threshold, unit, normalizer)
    assert kd.on_spectra(*spectra).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def slow(
    student: Tensor, teacher: Tensor, clean: Tensor, sizes: tuple[int, int], frames: int, keep: float,
    over: str, threshold: float | None, unit: str, normalizer: str,
) -> float:  # fmt: skip
    clips, bins, length = student.shape
    cut = reference.uniform(sizes[0]) if sizes[0] == sizes[1] else reference.multi_scale(*sizes)
    groups: dict[int, dict[tuple[int, int, int], list[tuple[int, int]]]] = defaultdict(dict)
    for clip in range(clips):
        crossovers = [
            reference.ascending_crossover([abs(teacher[clip, f, t].item()) for f in range(bins)])
            for t in range(length)
        ]
        for t in range(length):
            block = t // frames
            of_block = sorted(crossovers[block * frames : (block + 1) * frames])
            for f, patch in enumerate(cut(bins, of_block[(len(of_block) - 1) // 2])):
                group = groups[clip if over == "clip" else 0]
                group.setdefault((clip, patch, block), []).append((f, t))

    def mean(a: Tensor, b: Tensor, key: tuple[int, int, int], places: list[tuple[int, int]]) -> float:
        return fmean((abs(a[key[0], f, t].item()) - abs(b[key[0], f, t].item())) ** 2 for f, t in places)

    losses = []
    for group in groups.values():
        gaps = {k: mean(student, clean, k, p) - mean(teacher, clean, k, p) for k, p in group.items()}
        order = sorted(gaps, key=lambda key: (-gaps[key], key))
        limit = threshold
        if threshold is not None and unit == "deviations":
            limit = fmean(gaps.values()) + threshold * pstdev(gaps.values())
        chosen = [
            key for key in order[: max(1, int(keep * len(gaps) + 1e-6))] if limit is None or gaps[key] > limit
        ]
        sizes_ = {key: len(group[key]) if normalizer == "bins" else 1 for key in chosen}
        total = sum(sizes_[key] * mean(student, teacher, key, group[key]) for key in chosen)
        losses.append(total / max(1, sum(sizes_.values())))
    return fmean(losses)


class TestFrames:
    @given(
        bins=st.integers(2, 30), length=st.integers(1, 12), frames=st.integers(1, 15), low=st.integers(1, 5)
    )
    def test_patches_part_the_spectrogram(self, bins: int, length: int, frames: int, low: int) -> None:
        crossover = torch.randint(0, bins - 1, (2, length))
        for patches in (Uniform(low, frames), MultiScale(low, low + 3, frames)):
            parts = partition(patches, torch.zeros(2, bins, length), crossover)
            assert parts.counts.shape[2] == -(-length // frames)
            assert (parts.counts.sum(dim=(1, 2)) == bins * length).all()
            assert torch.equal(parts.sums(torch.ones(2, bins, length)).long(), parts.counts)
            number = torch.arange(parts.counts[0].numel()).view(1, *parts.counts.shape[1:]).expand(2, -1, -1)
            of_bins = parts.of_bins(number.float())
            for j in range(parts.counts.shape[2]):  # one shape of patches in all frames of a block
                block = of_bins[..., j * frames : (j + 1) * frames]
                assert (block == block[..., :1]).all()
                assert (block.long() % parts.counts.shape[2] == j).all()

    def test_one_frame_is_the_default(self) -> None:
        for patches in (Uniform, MultiScale):
            assert patches(frames=1) == patches()

    def test_explained_bin_by_bin(self) -> None:
        seen = DISPatch(DFKDLoss(), MultiScale(10, 40, frames=4), 0.5).explain(**waves())
        assert seen.gap.shape[2] == 3
        assert seen.selected_bins.shape == seen.patch_ids.shape
        torch.testing.assert_close(seen.parts["kept_share"], seen.selected_bins.float().mean(dim=(1, 2)))
        assert seen.gap_per_bin.isfinite().all()
        assert torch.equal(seen.gap_per_bin[..., 0], seen.gap_per_bin[..., 3])


class TestOverTheBatch:
    @pytest.mark.parametrize("normalizer", ["bins", "patches", "eq6"])
    @pytest.mark.parametrize("gate", [None, "teacher_over_noisy"])
    def test_it_is_the_ranking_of_all_clips_side_by_side(self, normalizer: str, gate: str | None) -> None:
        spectra = {name: Stft()(wave)[..., :8] for name, wave in waves(dtype=torch.float64).items()}
        together = {name: torch.cat(list(one), dim=1)[None] for name, one in spectra.items()}
        for patches in (Uniform(20), MultiScale(10, 40, frames=4)):
            settings = {"normalizer": normalizer, "gate": gate, "threshold": 1e-4}
            if normalizer == "eq6":
                settings.pop("threshold")
            batch = DISPatch(DFKDLoss(), patches, 0.3, rank_over="batch", **settings)
            torch.testing.assert_close(
                batch.on_spectra(**spectra),
                DISPatch(DFKDLoss(), patches, 0.3, **settings).on_spectra(**together),
            )

    def test_one_clip_alone_is_ranked_as_ever(self) -> None:
        one = {name: wave[:1] for name, wave in waves().items()}
        for settings in ({}, {"threshold": 0.01}, {"keep_schedule": "positive_gaps"}):
            clip = DISPatch(MagnitudeL2(), keep=0.4, **settings)(**one)
            assert torch.equal(DISPatch(MagnitudeL2(), keep=0.4, rank_over="batch", **settings)(**one), clip)

    def test_order_of_clips_does_not_matter_and_clips_that_are_good_already_count_less(self) -> None:
        signals, order = waves(batch=3, dtype=torch.float64), torch.tensor([2, 0, 1])
        signals["student"][0] = signals["teacher"][0]
        kd = DISPatch(MagnitudeL2(), keep=0.3, rank_over="batch")
        torch.testing.assert_close(kd(**{n: wave[order] for n, wave in signals.items()}), kd(**signals))
        seen = kd.explain(**signals)
        assert not seen.selected[0].any()
        assert seen.parts["loss"][0] == 0
        assert seen.selected.sum() == int(0.3 * seen.selected.numel())


class TestThreshold:
    def test_by_hand(self) -> None:
        # Gaps 0.5, 1.5, -1, 4: mean 1.25, deviation 1.82. KD sums 1, 5, 1, 4 in 2, 2, 1, 1 bins.
        for threshold, unit, loss in ((1.0, "score", 9 / 3), (4.0, "score", 0), (0.1, "deviations", 9 / 3)):
            kd = DISPatch(MagnitudeL2(), Uniform(2), threshold=threshold, threshold_unit=unit)
            assert kd.on_spectra(STUDENT, TEACHER, CLEAN).item() == pytest.approx(loss)

    def test_0_on_the_gap_is_the_gate_over_the_student(self) -> None:
        signals = waves()
        for keep in (0.3, 1.0):
            limited = DISPatch(MagnitudeL2(), keep=keep, threshold=0.0)
            gated = DISPatch(MagnitudeL2(), keep=keep, gate="teacher_over_student")
            assert torch.equal(limited(**signals), gated(**signals))

    @given(one=st.floats(-2, 2), other=st.floats(-2, 2), exponent=st.integers(-8, 8))
    def test_a_higher_one_selects_less_and_deviations_know_no_level(
        self, one: float, other: float, exponent: int
    ) -> None:
        signals = waves(dtype=torch.float64)
        louder = {name: 2.0**exponent * wave for name, wave in signals.items()}
        low, high = (
            DISPatch(MagnitudeL1(), threshold=limit, threshold_unit="deviations")
            for limit in sorted((one, other))
        )
        selected = low.explain(**signals).selected
        assert not (high.explain(**signals).selected & ~selected).any()
        assert torch.equal(low.explain(**louder).selected, selected)


class TestPositiveGaps:
    def test_with_the_gap_it_is_what_the_gate_leaves(self) -> None:
        signals = waves()
        signals["student"][0] = signals["clean"][0] * 0.999  # the first clip has next to nothing to learn
        for keep in (0.3, 1.0):
            seen = DISPatch(MagnitudeL2(), keep=keep, keep_schedule="positive_gaps").explain(**signals)
            gated = DISPatch(MagnitudeL2(), keep=keep, gate="teacher_over_student").explain(**signals)
            for clip in range(len(seen.selected)):
                if gated.selected[clip].any():
                    assert torch.equal(seen.selected[clip], gated.selected[clip])
                else:
                    assert seen.selected[clip].sum() == 1

    def test_with_another_ranking_it_is_as_many(self) -> None:
        signals = waves()
        for score in ("random", "student_bottom"):
            seen = DISPatch(MagnitudeL2(), score=score, keep_schedule="positive_gaps").explain(**signals)
            assert torch.equal(seen.selected.sum(dim=(1, 2)), (seen.gap > 0).sum(dim=(1, 2)).clamp(min=1))


class TestGapMetric:
    def test_the_loss_itself_changes_nothing(self) -> None:
        signals = waves()
        for loss in (MagnitudeL2(), DFKDLoss()):
            settings = {
                "patches": MultiScale(),
                "keep": 0.5,
                "gate": "teacher_over_both",
                "gate_softness": 0.5,
            }
            assert torch.equal(
                DISPatch(loss, gap_metric=loss, **settings)(**signals), DISPatch(loss, **settings)(**signals)
            )

    @pytest.mark.parametrize("metric", [LogMagnitudeL1(), ComplexL2(), DFKDLoss()], ids=str)
    def test_it_selects_and_the_loss_is_counted(self, metric: object) -> None:
        signals = waves()
        settings = {"patches": Uniform(20), "keep": 0.4, "gate": "teacher_over_noisy"}
        seen = DISPatch(MagnitudeL2(), gap_metric=metric, **settings).explain(**signals)
        other = DISPatch(metric, **settings).explain(**signals)
        assert torch.equal(seen.selected, other.selected)
        torch.testing.assert_close(seen.gap, other.gap, equal_nan=True)
        bins = MagnitudeL2()(Stft()(signals["student"]), Stft()(signals["teacher"])) * seen.selected_bins
        means = bins.sum(dim=(1, 2)) / seen.selected_bins.sum(dim=(1, 2))
        torch.testing.assert_close(seen.parts["loss"], means)


def test_what_the_teacher_removes_ranks_without_clean_speech() -> None:
    kd = DISPatch(MagnitudeL2(), Uniform(2), 0.25, score="removed")
    assert kd.needs == ("student", "teacher", "noisy")
    noisy = torch.tensor([[[1, 2], [2, 4], [2, 2]]], dtype=torch.complex128)
    # Removed 0, (1 + 9) / 2, 0, 0: the second patch, where student and teacher differ by 5 over 2 bins.
    assert kd.on_spectra(STUDENT, TEACHER, None, noisy).item() == pytest.approx(2.5)


def test_a_share_that_goes_down_with_the_training() -> None:
    signals = waves()
    kd = DISPatch(MagnitudeL2(), keep=0.2, keep_schedule="linear")
    assert kd.needs[-1] == "share_done"
    for done, share in ((0.0, 1.0), (0.5, 0.6), (1.0, 0.2)):
        plain = DISPatch(MagnitudeL2(), keep=share)(*list(signals.values())[:3])
        torch.testing.assert_close(kd(**signals, share_done=done), plain)
        assert f"the top {100 * share:g} % (100 to 20 %, linear)" in str(
            kd.explain(**signals, share_done=done)
        )
    with pytest.raises(ValueError, match="needs share_done"):
        kd(**signals)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"keep_start": 0.5}, "keep_start belongs to keep_schedule"),
        ({"threshold_unit": "deviations"}, "belongs to a threshold"),
        ({"threshold": 0.1, "normalizer": "eq6"}, "eq6' divides by the share"),
        ({"rank_over": "batches"}, "did you mean batch"),
        ({"keep_schedule": "cosin"}, "did you mean cosine"),
        ({"gap_metric": "l1"}, r"gap_metric = 'l1'.*BinLoss\(\)"),
    ],
    ids=str,
)
def test_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        DISPatch(MagnitudeL2(), **settings)

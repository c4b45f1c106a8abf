"""Patches ranked by how well several teachers agree: no clean speech is looked at."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import DISPatch, MagnitudeL2, MultiScalePatches, UniformPatches
from sedistill.distill import BIN_LOSSES
from sedistill.distill.several import Several

from . import reference
from .signal_objectives import some_signals

PATCHES = [UniformPatches(20), MultiScalePatches(10, 40)]
every_bin_loss = pytest.mark.parametrize("name", BIN_LOSSES)
every_partition = pytest.mark.parametrize("patches", PATCHES, ids=str)


def agreeing(loss: object = None, patches: object = None, keep: float = 0.5, **settings: object) -> DISPatch:
    return DISPatch(loss or MagnitudeL2(), patches or UniformPatches(20), keep, score="agreement", **settings)  # type: ignore[arg-type]


def signals(teachers: int = 3, clean: bool = False) -> dict:
    """A student, teachers, and their mean as the teacher."""
    given = some_signals()
    errors = 0.1 * torch.randn(teachers, *given["clean"].shape) * torch.rand(given["clean"].shape).square()
    waves = {f"t{n}": given["clean"] + error for n, error in enumerate(errors)}
    together, _ = Several("mean")(waves, given["clean"])
    kept = {name: given[name] for name in ("student", *(["clean", "noisy"] if clean else []))}
    return kept | {"teacher": together, "teachers": waves}


def test_by_hand() -> None:
    def spectrum(*values: float) -> Tensor:
        return torch.tensor(values).view(1, 4, 1).to(torch.complex64)

    # Of two patches: a and b are 1 and 3 from the teacher in the first bin, 1 and 1 in the third.
    together, student = spectrum(4, 2, 3, 4), spectrum(0, 0, 0, 0)
    teachers = {"a": spectrum(5, 2, 2, 4), "b": spectrum(1, 2, 4, 4)}
    kd = agreeing(patches=UniformPatches(2))
    assert kd.on_spectra(student, together, teachers=teachers) == (3**2 + 4**2) / 2
    # Patch means of squares, over both: (1 + 9) / 2 / 2 and (1 + 1) / 2 / 2.
    for threshold, loss in ((-0.6, 12.5), (-0.4, 0.0)):
        some = agreeing(patches=UniformPatches(2), keep=1.0, threshold=threshold)
        assert some.on_spectra(student, together, teachers=teachers) == loss


@given(
    seed=st.integers(0, 999), sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)), keep=st.floats(0.05, 1),
    shape=st.tuples(st.integers(1, 3), st.integers(2, 13), st.integers(1, 5)), teachers=st.integers(2, 4),
)  # fmt: skip
def test_agrees_with_a_slow_version(
    seed: int, sizes: tuple[int, int], keep: float, shape: tuple[int, int, int], teachers: int
) -> None:
    student, together, _ = reference.random_spectra(seed, *shape, dtype=torch.complex128)
    others = {
        str(n): reference.random_spectra(seed + 1 + n, *shape, torch.complex128)[n % 3]
        for n in range(teachers)
    }
    found = agreeing(patches=MultiScalePatches(*sizes), keep=keep).on_spectra(
        student, together, teachers=others
    )
    cut = reference.uniform(sizes[0]) if sizes[0] == sizes[1] else reference.multi_scale(*sizes)
    losses = []
    for clip in range(shape[0]):
        patches: dict[tuple[int, int], list[int]] = {}
        for t in range(shape[2]):
            crossover = reference.ascending_crossover(together[clip, :, t].abs().tolist())
            for f, patch in enumerate(cut(shape[1], crossover)):
                patches.setdefault((patch, t), []).append(f)

        def mean(
            a: Tensor, b: Tensor, key: tuple[int, int], clip: int = clip, patches: dict = patches
        ) -> float:
            at = [(abs(a[clip, f, key[1]]) - abs(b[clip, f, key[1]])) ** 2 for f in patches[key]]
            return float(sum(at)) / len(at)

        apart = {k: sum(mean(one, together, k) for one in others.values()) / teachers for k in patches}
        kept = sorted(apart, key=lambda k: (apart[k], k))[: max(1, math.floor(keep * len(apart) + 1e-6))]
        total = sum(mean(student, together, k) * len(patches[k]) for k in kept)
        losses.append(total / sum(len(patches[k]) for k in kept))
    assert found.item() == pytest.approx(sum(losses) / len(losses), rel=1e-9, abs=1e-12)


@every_bin_loss
@every_partition
class TestWithEveryBinLoss:
    def test_needs_no_clean_speech(self, name: str, patches: UniformPatches) -> None:
        kd = agreeing(BIN_LOSSES[name](), patches)
        assert kd.needs == ("student", "teacher", "teachers")
        assert kd(**signals()) > 0

    def test_teachers_are_closest_where_it_selects(self, name: str, patches: UniformPatches) -> None:
        seen = agreeing(BIN_LOSSES[name](), patches).explain(**signals(clean=True))
        present = seen.gap.isfinite()
        for apart, selected, there in zip(seen.disagreement, seen.selected, present, strict=True):
            assert apart[selected].max() <= apart[there & ~selected].min()
        assert "agreement  the teachers are apart by" in repr(seen)

    def test_order_does_not_matter(self, name: str, patches: UniformPatches) -> None:
        given, kd = signals(), agreeing(BIN_LOSSES[name](), patches)
        backwards = dict(reversed(given["teachers"].items()))
        torch.testing.assert_close(kd(**given), kd(**{**given, "teachers": backwards}))

    def test_two_that_say_the_same_leave_the_first_patches(self, name: str, patches: UniformPatches) -> None:
        """A tie everywhere: as many are kept as of any other score."""
        given, kd = signals(clean=True), agreeing(BIN_LOSSES[name](), patches)
        given["teachers"] = dict.fromkeys("ab", given["teacher"])
        kept = kd.explain(**given).selected.sum(dim=(1, 2))
        others = DISPatch(BIN_LOSSES[name](), patches, 0.5, score="teacher_top")
        del given["teachers"]
        assert torch.equal(kept, others.explain(**given).selected.sum(dim=(1, 2)))

    def test_where_one_leaves_the_others_is_not_kept(self, name: str, patches: UniformPatches) -> None:
        given, kd = signals(clean=True), agreeing(BIN_LOSSES[name](), patches)
        spectra = {one: kd.stft(wave) for one, wave in given["teachers"].items()}
        spectra["t1"][:, 100:140] *= 1e3
        given["teachers"] = {one: kd.stft.inverse(spectrum, 1200) for one, spectrum in spectra.items()}
        seen = kd.explain(**given)
        selected = seen.selected_bins[:, 110:130].any(dim=1)
        if seen.crossover is not None and name == "dfkd":  # its low band has phases alone
            selected &= seen.crossover < 100
        assert not selected[:, 1:-1].any()

    @pytest.mark.parametrize("broken", [math.nan, math.inf])
    def test_what_is_not_finite_shows(self, name: str, patches: UniformPatches, broken: float) -> None:
        given = signals()
        given["teachers"]["t1"][1, 300] = broken
        assert not agreeing(BIN_LOSSES[name](), patches)(**given).isfinite()


@pytest.mark.parametrize("gate", ["teacher_over_noisy", "teacher_over_both"])
def test_with_gates(gate: str) -> None:
    given = signals(clean=True)
    plain, gated = agreeing().explain(**given), agreeing(gate=gate).explain(**given)
    assert torch.equal(gated.selected, plain.selected & (gated.gate > 0))


def test_over_the_best_in_each_patch() -> None:
    """The teachers are then those among which the nearest to the clean speech is chosen."""
    given = signals(clean=True)
    waves, kd = given.pop("teachers"), agreeing()
    given["teacher"] = waves
    seen = kd.explain(**given)
    assert set(seen.chosen.unique().tolist()) == {0, 1, 2}
    best = torch.stack([kd.stft(wave) for wave in waves.values()]).gather(0, seen.chosen[None])[0]
    spectra = {name: kd.stft(wave) for name, wave in waves.items()}
    again = kd.on_spectra(kd.stft(given["student"]), best, teachers=spectra)
    torch.testing.assert_close(kd(**given), again)


def test_of_one_teacher_nothing_agrees() -> None:
    given = signals()
    for teachers in (None, {"t0": given["teacher"]}):
        with pytest.raises(ValueError, match="agreement is between two teachers at least"):
            agreeing()(**{**given, "teachers": teachers})
    with pytest.raises(ValueError, match=r"teacher t1 .* differ in shape"):
        agreeing()(**{**given, "teachers": {**given["teachers"], "t1": torch.zeros(2, 9)}})

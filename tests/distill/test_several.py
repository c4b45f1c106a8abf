"""Several teachers: each heard where it is best, their mean, or each in a band."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sedistill import DISPatch, MagnitudeL2, MultiScalePatches, Stft, UniformPatches
from sedistill.common.errors import UserError
from sedistill.distill import BIN_LOSSES
from sedistill.distill.patches import partition
from sedistill.distill.several import Several

from .signal_objectives import some_signals

PATCHES = [UniformPatches(20), MultiScalePatches(10, 40)]
SETTINGS = [{}, {"keep": 0.5}, {"gate": "teacher_over_noisy"}, {"keep": 0.8, "gate": "teacher_over_both"}]
every_bin_loss = pytest.mark.parametrize("name", BIN_LOSSES)
every_setting = pytest.mark.parametrize("settings", SETTINGS, ids=str)
every_partition = pytest.mark.parametrize("patches", PATCHES, ids=str)


def signals(teachers: int = 3) -> dict:
    """A student, clean speech, its noisy input, and teachers that are nearer to it here and there."""
    given = {name: wave for name, wave in some_signals().items() if name in ("student", "clean", "noisy")}
    clean = given["clean"]
    errors = 0.3 * torch.randn(teachers, *clean.shape) * torch.rand(teachers, *clean.shape).square()
    return given | {"teacher": {f"t{n}": clean + error for n, error in enumerate(errors)}}


class TestBestInPatches:
    def test_by_hand(self) -> None:
        # Magnitudes of four bins in two patches: a errs by 0, 1 | 2, 0, b by 1, 1 | 1, 0: a, then b.
        def spectrum(*values: float) -> Tensor:
            return torch.tensor(values).view(1, 4, 1).to(torch.complex64)

        clean, a, b = spectrum(1, 2, 3, 4), spectrum(1, 3, 5, 4), spectrum(2, 3, 4, 4)
        kd = DISPatch(MagnitudeL2(), UniformPatches(2), normalizer="patches")
        student = spectrum(0, 0, 0, 0)
        loss = kd.on_spectra(student, teacher={"a": a, "b": b}, clean=clean)
        assert loss == ((1 + 9) / 2 + (16 + 16) / 2) / 2
        plain = DISPatch(MagnitudeL2()).on_spectra(student, teacher={"a": a, "b": b}, clean=clean)
        assert plain == (1 + 9 + 16 + 16) / 4  # bin by bin; the tied second and fourth are a's

    @every_bin_loss
    @every_partition
    @every_setting
    def test_of_one_teacher_twice_is_that_teacher(self, name: str, patches, settings: dict) -> None:
        given, kd = signals(1), DISPatch(BIN_LOSSES[name](), patches, **settings)
        one = given["teacher"]["t0"]
        for several in ({"a": one}, {"a": one, "b": one.clone()}):
            assert torch.equal(kd(**{**given, "teacher": several}), kd(**{**given, "teacher": one}))

    @every_bin_loss
    @every_partition
    def test_never_further_from_clean_than_any_in_any_patch(self, name: str, patches) -> None:
        given, kd = signals(), DISPatch(BIN_LOSSES[name](), patches, keep=0.5)
        spectra = {n: kd.stft(wave) for n, wave in given["teacher"].items()}
        clean, loss = kd.stft(given["clean"]), kd.loss
        seen = kd.explain(**given)
        assert seen.chosen is not None
        low = None if seen.crossover is None else kd.bands_by.low_band(seen.crossover, clean.shape[1])
        parts = partition(patches, clean.real, seen.crossover)

        def errors(spectrum: Tensor) -> Tensor:
            return parts.sums(loss(spectrum, clean, low))

        best = torch.stack(list(spectra.values())).gather(0, seen.chosen[None])[0]
        for spectrum in spectra.values():
            # Sums of the same terms differ in their last bit where they lie elsewhere in memory.
            assert bool((errors(best) <= (1 + 1e-6) * errors(spectrum)).all())
        assert {0, 1, 2} == set(seen.chosen.unique().tolist())

    @every_bin_loss
    @every_setting
    def test_order_does_not_matter(self, name: str, settings: dict) -> None:
        given, kd = signals(), DISPatch(BIN_LOSSES[name](), MultiScalePatches(10, 40), **settings)
        backwards = dict(reversed(given["teacher"].items()))
        loss, parts = kd.with_parts(**given)
        again, other_parts = kd.with_parts(**{**given, "teacher": backwards})
        # But where two are equally near, as phases are that can be 0 or pi alone (the mirrored first frame).
        torch.testing.assert_close(loss, again, rtol=0.05 if name == "dfkd" else 1e-6, atol=0)
        assert sum(parts[f"chosen_t{n}"] for n in range(3)) == pytest.approx(1)
        assert parts["chosen_t1"].item() == pytest.approx(other_parts["chosen_t1"].item(), abs=0.02)

    def test_a_gate_opens_wherever_any_teacher_beats_the_noisy_input(self) -> None:
        given, kd = signals(), DISPatch(MagnitudeL2(), UniformPatches(20), gate="teacher_over_noisy")
        gates = [kd.explain(**{**given, "teacher": one}).gate for one in given["teacher"].values()]
        assert torch.equal(kd.explain(**given).gate, torch.stack(gates).amax(dim=0))

    def test_clean_speech_is_needed_and_explained(self) -> None:
        given, kd = signals(2), DISPatch(MagnitudeL2())
        assert "t0 in " in repr(kd.explain(**given))
        with pytest.raises(ValueError, match="needs the clean signal"):
            kd(given["student"], teacher=given["teacher"])
        figure = kd.explain(**given).plot_teachers()
        assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["t0", "t1"]

    @pytest.mark.parametrize("broken", [torch.nan, torch.inf])
    @pytest.mark.parametrize("settings", [{}, {"keep": 0.5}], ids=str)
    def test_what_is_not_finite_shows(self, broken: float, settings: dict) -> None:
        given = signals(2)
        given["teacher"]["t1"][0, 50] = broken
        assert not DISPatch(MagnitudeL2(), **settings)(**given).isfinite()


class TestWaveform:
    @pytest.mark.parametrize("rule", ["best", "mean"])
    def test_of_one_is_itself(self, rule) -> None:
        given = signals(1)
        together, _ = Several(rule)(given["teacher"], given["clean"])
        torch.testing.assert_close(together, given["teacher"]["t0"], atol=1e-5, rtol=0)
        if rule == "mean":
            assert torch.equal(together, given["teacher"]["t0"])

    @given(seed=st.integers(0, 99), samples=st.integers(200, 3_000))
    def test_the_best_is_at_most_as_far_from_clean_as_each(self, seed: int, samples: int) -> None:
        torch.manual_seed(seed)
        stft, clean = Stft(), torch.randn(2, samples)
        teachers = {n: clean + torch.randn_like(clean) * torch.rand_like(clean) for n in "abc"}
        together, shares = Several("best")(teachers, clean)
        assert sum(shares.values()) == pytest.approx(1)

        def error(wave: Tensor) -> Tensor:
            # Over the whole window, on each side of the spectrum: what going back is least squares of.
            spectrum = (stft(wave) - stft(clean)).abs().square()
            return (spectrum.sum(dim=1) + spectrum[:, 1:-1].sum(dim=1)).sum(dim=1)

        for wave in teachers.values():
            assert bool((error(together) <= error(wave) * (1 + 1e-5)).all())

    @pytest.mark.parametrize("rule", ["best", "mean"])
    def test_order_does_not_matter(self, rule) -> None:
        given = signals()
        backwards = dict(reversed(given["teacher"].items()))
        one, other = (Several(rule)(named, given["clean"])[0] for named in (given["teacher"], backwards))
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)

    def test_bands_are_the_teachers_own(self) -> None:
        low, high = torch.randn(2, 1, 4_001)
        both, _ = Several("bands", [2_000.0], 16_000)({"low": low, "high": high}, low)
        found, first, second = (torch.fft.rfft(wave)[0] for wave in (both, low, high))
        edge = next(n for n in range(2_001) if n * 16_000 / 4_001 >= 2_000)
        torch.testing.assert_close(found[:edge], first[:edge], atol=1e-3, rtol=0)
        torch.testing.assert_close(found[edge:], second[edge:], atol=1e-3, rtol=0)
        same, _ = Several("bands", [500.0, 4_000.0])({"a": low, "b": low, "c": low}, low)
        torch.testing.assert_close(same, low, atol=1e-5, rtol=0)

    @pytest.mark.parametrize("edges", [[0.0], [9_000.0], [400.0, 300.0]], ids=str)
    def test_edges_that_cannot_be_are_refused(self, edges: list[float]) -> None:
        with pytest.raises(UserError, match="are not possible"):
            Several("bands", edges)
        with pytest.raises(UserError, match="belong to the rule 'bands'"):
            Several("mean", [400.0])
        with pytest.raises(ValueError, match="between 2 teachers"):
            Several("bands", [400.0])({"a": torch.zeros(1, 9)}, torch.zeros(1, 9))

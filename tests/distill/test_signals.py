"""What holds for every objective on signals."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from sedistill.distill.signal_objective import SignalObjective
from sedistill.distill.waveform import SISNRTarget

from .signal_objectives import EVERY_SIGNAL_OBJECTIVE, needed, some_signals

every_objective = pytest.mark.parametrize("objective", EVERY_SIGNAL_OBJECTIVE, ids=repr)


@every_objective
class TestEverySignalObjective:
    def test_a_batch_is_the_mean_of_its_clips(self, objective: SignalObjective) -> None:
        signals = needed(objective, some_signals(batch=3, dtype=torch.float64))
        signals = {
            name: signal * torch.tensor([1.0, 0.1, 3.0]).reshape(3, *[1] * (signal.ndim - 1))
            for name, signal in signals.items()
        }
        alone = [objective(**{name: signal[i : i + 1] for name, signal in signals.items()}) for i in range(3)]
        torch.testing.assert_close(objective(**signals), torch.stack(alone).mean())

    def test_gradient_is_that_of_finite_differences(self, objective: SignalObjective) -> None:
        signals = needed(objective, some_signals(batch=1, samples=300, dtype=torch.float64))
        student = signals.pop("student").requires_grad_()
        assert objective(student, **signals).dtype == torch.float64
        assert torch.autograd.gradcheck(
            lambda x: objective(x, **signals), student, fast_mode=True, eps=1e-7, atol=1e-4
        )

    def test_gradient_goes_into_the_student_alone(self, objective: SignalObjective) -> None:
        signals = {name: signal.requires_grad_() for name, signal in some_signals().items()}
        objective(**signals).backward()
        assert signals["student"].grad is not None
        assert signals["student"].grad.abs().max() > 0
        assert all(signal.grad is None for name, signal in signals.items() if name != "student")

    def test_finite_with_finite_gradient_on_silence(self, objective: SignalObjective) -> None:
        for silent in (["student"], list(objective.needs[1:]), list(objective.needs), ["noisy"]):
            for level in (0.0, 1e-9):
                signals = some_signals()
                for name in silent:
                    signals[name] = level * signals[name]
                signals["student"].requires_grad_()
                loss = objective(**signals)
                loss.backward()
                assert loss.isfinite()
                assert signals["student"].grad is not None
                assert signals["student"].grad.isfinite().all()

    def test_the_target_itself_is_best(self, objective: SignalObjective) -> None:
        signals = needed(objective, some_signals(dtype=torch.float64))
        target = signals[objective.target]
        if target.ndim == 3:  # one teacher for all bands, so that one student can equal them
            signals["band_teachers"] = target[:, :1].expand_as(target)
            target = target[:, 0]
        best = objective(**{**signals, "student": target})
        assert best < objective(**signals)
        if not isinstance(objective, SISNRTarget):  # which is a level in dB
            assert best.item() == pytest.approx(0, abs=1e-12)

    def test_autocast_changes_nothing(self, objective: SignalObjective) -> None:
        signals = needed(objective, some_signals())
        plain = objective(**signals)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(objective(**signals), plain)
            halved = objective(**{name: signal.bfloat16() for name, signal in signals.items()})
        assert halved.dtype == torch.float32
        torch.testing.assert_close(halved, plain, rtol=0.1, atol=0.1)

    def test_parts_are_those_of_the_same_loss(self, objective: SignalObjective) -> None:
        signals = needed(objective, some_signals())
        signals["student"].requires_grad_()
        loss, parts = objective.with_parts(**signals)
        assert torch.equal(loss, objective(**signals))
        assert torch.equal(parts["loss"], loss.detach())
        assert loss.requires_grad
        for value in parts.values():
            assert value.shape == ()
            assert not value.requires_grad

    def test_only_what_is_needed_is_used_and_its_absence_is_named(self, objective: SignalObjective) -> None:
        signals = some_signals()
        assert torch.equal(objective(**needed(objective, signals)), objective(**signals))
        for name in objective.needs[1:]:
            with pytest.raises(ValueError, match=f"needs the {name} signal"):
                objective(**{**signals, name: None})

    def test_shapes_that_do_not_fit_are_named(self, objective: SignalObjective) -> None:
        signals = some_signals()
        for name in objective.needs[1:]:
            with pytest.raises(ValueError, match=rf"{name} .*\b1199\) does not fit student \(2, 1200\)"):
                objective(**{**signals, name: signals[name][..., 1:]})
        with pytest.raises(ValueError, match=r"\(batch, samples\), not \(1200,\)"):
            objective(**{**signals, "student": signals["student"][0]})


class Inner(SignalObjective):
    """An objective of the one kind of operation that autocast would make coarser."""

    def per_clip(self, signals: Mapping[str, Tensor]) -> Tensor:
        return (signals["student"] @ signals["teacher"].T).diagonal()


def test_the_base_keeps_any_objective_in_single_precision_under_autocast() -> None:
    student, teacher = torch.randn(2, 3, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = Inner()(student, teacher)
        assert Inner()(student.bfloat16(), teacher.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(loss, (student * teacher).sum(dim=1).mean())

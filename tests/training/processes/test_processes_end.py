"""How several processes end: one sentence from one of them, none hangs, and the run goes on exactly."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sedistill.cli import app
from sedistill.common import torchrun
from sedistill.common.errors import UserError
from sedistill.data.shards.ranges import ShardError
from sedistill.training import loop as loop_module
from sedistill.training.run import train
from sedistill.training.run_folder import run_state
from sedistill.training.run_folder.logs import read_metrics
from tests.together import one_sentence, together, told
from tests.training.runs import same, weights

Write = Callable[..., Path]


def at_step(number: int, happens: Callable[[], object]) -> Callable[[Any, Any], str]:
    """A training step after which, at this number, something happens."""
    step = loop_module.Loop._train_on

    def step_then(self: loop_module.Loop, batch: Any) -> str:
        note = step(self, batch)
        if self.progress.step == number:
            happens()
        return note

    return step_then


def ended(write: Callable[[int], object], said: Path, count: int = 2) -> str:
    """The one sentence with which all of so many processes end, each with exit code 2."""
    codes = together(write, count, said)
    assert codes == [2] * count, told(said)
    return one_sentence(said)


def test_a_signal_to_one_saves_and_the_run_goes_on_bit_for_bit(write_recipe: Write, world: Path) -> None:
    """Random scores, so that the processes' random numbers must go on too."""
    objectives = [{"loss": "l2", "keep": 0.5, "score": "random"}]
    recipe = write_recipe(teacher=str(world / "teacher"), objectives=objectives)

    def interrupted(rank: int) -> None:
        stop = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        with pytest.MonkeyPatch.context() as patch:
            if rank == 1:
                patch.setattr(loop_module.Loop, "_train_on", at_step(4, stop))
            try:
                train(recipe, output=world / "parts")
            except KeyboardInterrupt:
                raise SystemExit(143) from None

    def whole(rank: int) -> None:
        train(recipe, output=world / "whole")

    def resumed(rank: int) -> None:
        train(recipe, output=world / "parts")

    for work, code in ((whole, 0), (interrupted, 143), (resumed, 0)):
        assert together(work, 2, world / "said") == [code] * 2, told(world / "said")
    assert "resuming at step 4" in told(world / "said")["0"]
    assert same(weights(world / "whole" / "student"), weights(world / "parts" / "student"))
    curves = read_metrics(world / "whole")
    for name in curves.keys() - {"seconds", "memory_mb"}:
        assert read_metrics(world / "parts")[name] == curves[name], name


def test_another_number_of_processes_goes_on_and_says_so(write_recipe: Write, world: Path) -> None:
    """As when a machine is lost: the run of two ends with the weights of one, and the log is that of one.

    It stops between two lines of the log, of which the next is of steps by two and of one by one.
    """
    recipe = write_recipe()
    alone = weights(train(recipe, output=world / "alone"))

    def interrupted(rank: int) -> None:
        stop = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop_module.Loop, "_train_on", at_step(5, stop))
            try:
                train(recipe, output=world / "parts")
            except KeyboardInterrupt:
                raise SystemExit(143) from None

    assert together(interrupted, 2, world / "said") == [143, 143], told(world / "said")
    assert "stopped after step 5, which is saved" in told(world / "said")["0"]
    student = train(recipe, output=world / "parts")
    for name, value in weights(student).items():
        torch.testing.assert_close(value, alone[name], atol=1e-5, rtol=1e-5)
    curves = [dict(read_metrics(world / run)["se"]) for run in ("alone", "parts")]
    assert curves[0][6] == pytest.approx(curves[1][6], rel=1e-5)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_others_with_how_to_go_on(
    write_recipe: Write, world: Path, victim: int
) -> None:
    """Also where it is the one that kept the notes, in which the others look for who has told why."""
    recipe = write_recipe(optimiser={"batch_size": 3})

    def killed(rank: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if rank == victim:
                kill = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
                patch.setattr(loop_module.Loop, "_train_on", at_step(2, kill))
            train(recipe, output=world / "out")

    codes = [-signal.SIGKILL if rank == victim else 2 for rank in range(3)]
    assert together(killed, 3, world / "said") == codes, told(world / "said")
    assert "lost the others" in one_sentence(world / "said")
    assert "last checkpoint" in one_sentence(world / "said")


def test_what_one_alone_cannot_do_ends_all(write_recipe: Write, world: Path) -> None:
    """The first cannot write its checkpoint while the second waits for it."""
    recipe = write_recipe()

    def full(path: Path, state: dict[str, Any]) -> None:
        raise UserError("the disk is full; make room.")

    def work(rank: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_state, "save_checkpoint", full)
            train(recipe, output=world / "out")

    assert ended(work, world / "said") == "sedistill: the disk is full; make room."


def test_nan_in_the_share_of_one_is_named_and_all_stop(write_recipe: Write, world: Path) -> None:
    recipe = write_recipe(logging={"checkpoint_minutes": 1e-6})
    to_device = loop_module.to_device

    def broken(batch: Any, device: Any) -> Any:
        given = to_device(batch, device)
        given["noisy"][1, 100] = torch.nan
        return given

    def work(rank: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if rank == 1:
                patch.setattr(loop_module, "to_device", broken)
            train(recipe, output=world / "out")

    sentence = ended(work, world / "said")
    assert "training stopped at step 1: `noisy` of " in sentence
    assert ".flac" in sentence or "valid" in sentence or "train" in sentence


def test_weights_that_drift_apart_are_told_before_they_are_saved(write_recipe: Write, world: Path) -> None:
    """One bit of one weight, as a faulty memory turns it, in the second epoch."""
    recipe = write_recipe()
    step = loop_module.Loop._train_on

    def step_with_a_fault(self: loop_module.Loop, batch: Any) -> str:
        note = step(self, batch)
        if self.progress.step == 5:
            weight = next(self.network.parameters()).data.view(-1)
            weight[0] = torch.nextafter(weight[0], torch.tensor(9.0))
        return note

    def work(rank: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if rank == 1:
                patch.setattr(loop_module.Loop, "_train_on", step_with_a_fault)
            train(recipe, output=world / "out")

    assert "after step 6 process 1 of 2 has other weights than process 0" in ended(work, world / "said")
    saved = torch.load(world / "out" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["progress"]["step"] == 3


def test_processes_that_do_not_fit_each_other_are_refused(write_recipe: Write, world: Path) -> None:
    recipe, other = write_recipe(), ["optimiser.learning_rate=1e-4"]
    sentence = ended(
        lambda rank: train(recipe, other if rank == 2 else (), output=world / "out"), world / "said", count=3
    )
    assert "process 2 has another recipe (optimiser.learning_rate) than process 0;" in sentence
    assert not (world / "out").exists()
    sentence = ended(lambda rank: train(recipe, output=world / "out"), world / "said", count=3)
    assert "optimiser.batch_size = 4" in sentence
    assert "do not divide equally among 3 processes" in sentence


def test_a_mistake_is_told_once_however_often_torchrun_starts(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(rank: int) -> None:
        train(world / "no.yaml", output=world / "out")

    run = world / "torchelastic" / "none"
    run.mkdir(parents=True)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(run / "attempt_0" / "0" / "error.json"))
    assert "no.yaml" in ended(work, world / "said")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(run / "attempt_1" / "0" / "error.json"))
    assert together(work, 2, world / "said") == [2, 2]
    assert told(world / "said") == {"0": "", "1": ""}


def test_what_may_pass_is_tried_again_by_torchrun(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was away when the processes started first."""

    def work(rank: int) -> None:
        with torchrun.joined():
            raise ShardError("http://127.0.0.1/train.tar", "no answer", may_pass=True)

    run = world / "torchelastic" / "none"
    run.mkdir(parents=True)
    for attempt in ("attempt_0", "attempt_1"):
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(run / attempt / "0" / "error.json"))
        assert "http://127.0.0.1/train.tar cannot be used: no answer" in ended(work, world / attempt)


def test_a_port_in_use_and_half_an_environment_are_told(
    write_recipe: Write, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="WORLD_SIZE asks for several processes, but RANK=, WORLD_SIZE=2,"):
        train(write_recipe(), output=world / "out")
    monkeypatch.setattr(torchrun, "START_SECONDS", 1.0)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("MASTER_PORT", str(taken.getsockname()[1]))
        with pytest.raises(UserError, match="is in use by another program"):
            train(write_recipe(), output=world / "out")
    with pytest.raises(UserError, match=r"process 0 of 2 did not find the others at 127\.0\.0\.1"):
        train(write_recipe(), output=world / "out")


def test_other_commands_are_refused_once(world: Path) -> None:
    def work(rank: int) -> None:
        torchrun.refuse_for_several("train")
        app(["models", "--json"])

    assert "`sedistill models` is the work of one process" in ended(work, world / "said")

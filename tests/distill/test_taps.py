import copy
import io
from pathlib import Path

import pytest
import torch
from torch import nn

from sedistill.common.errors import UserError
from sedistill.distill.taps import Taps
from sedistill.models.presets import build_model

CONVTASNET = {
    "class": "ConvTasNet",
    "filters": 8,
    "filter_length": 8,
    "bottleneck": 4,
    "hidden": 6,
    "skip": 4,
    "blocks": 2,
    "repeats": 1,
    "deep_layers": 0,
}
MANNER = {"class": "MANNER", "channels": 3, "depth": 2, "chunk": 6}


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)
        self.layers = nn.ModuleList([nn.Linear(2, 2)])
        self.recurrent = nn.LSTM(2, 2, batch_first=True)
        self.unused = nn.Identity()
        self.words = Words()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.layers[0](self.second(self.first(x)))
        self.words(hidden)
        return self.recurrent(hidden)[0]


class Words(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"x": x}


@pytest.fixture
def network() -> Tiny:
    torch.manual_seed(0)
    return Tiny()


X = torch.ones(1, 5, 3)


def test_gives_what_the_modules_gave_with_their_graph(network: Tiny) -> None:
    with Taps(network, ["second", "first", "recurrent", "first"]) as taps:
        output = network(X)
        features = taps.take()
    assert list(features) == ["second", "first", "recurrent"]
    assert torch.equal(features["first"], network.first(X))
    assert torch.equal(features["recurrent"], output)  # the first item of what an LSTM returns
    features["second"].sum().backward()
    assert network.first.weight.grad is not None
    assert network.recurrent.weight_ih_l0.grad is None


def test_keeps_the_last_pass_and_forgets_what_was_taken(network: Tiny) -> None:
    taps = Taps(network, ["first"], whose="student")
    network(X)
    network(2 * X)
    assert torch.equal(taps.take()["first"], network.first(2 * X))


def test_taking_twice_needs_two_passes(network: Tiny) -> None:
    taps = Taps(network, ["first"])
    network(X)
    taps.take()
    with pytest.raises(UserError, match="did not run in the forward pass"):
        taps.take()


def test_leaves_no_trace(network: Tiny) -> None:
    before, expected = network.state_dict(), network(X)
    with Taps(network, ["first", "second"]):
        assert network.state_dict().keys() == before.keys()
        assert torch.equal(network(X), expected)
    assert not network.first._forward_hooks
    with pytest.raises(RuntimeError, match="on purpose"), Taps(network, ["first"]):
        raise RuntimeError("on purpose")
    assert not network.first._forward_hooks


def test_copies_and_pickles_of_the_network_keep_nothing(network: Tiny) -> None:
    taps = Taps(network, ["first"])
    network(X)
    saved = io.BytesIO()
    torch.save(network, saved)
    saved.seek(0)
    for twin in (copy.deepcopy(network), torch.load(saved, weights_only=False)):
        twin(3 * X)
        assert not any(vars(hook) for hook in twin.first._forward_hooks.values())
    assert torch.equal(taps.take()["first"], network.first(X))


def test_unknown_modules_are_refused_with_the_nearest() -> None:
    network = build_model({**MANNER, "attention": "all"})
    message = r"the student has no module 'encoder\.9\.attention'; near are .*encoder\.1\.attention"
    with pytest.raises(UserError, match=message):
        Taps(network, ["encoder.9.attention"], whose="student")
    with pytest.raises(UserError, match="near are input, encoder, decoder"):
        Taps(network, ["qqqq"])
    with pytest.raises(UserError, match="has no module ''"):
        Taps(network, [""])


def test_a_refusal_leaves_no_hooks(network: Tiny) -> None:
    with pytest.raises(UserError):
        Taps(network, ["first", "third"])
    assert not network.first._forward_hooks


def test_lists_of_modules_are_refused(network: Tiny) -> None:
    with pytest.raises(
        UserError, match=r"'layers' is a list of modules without an output; tap one of layers\.0"
    ):
        Taps(network, ["layers"])


def test_outputs_without_a_tensor_are_refused(network: Tiny) -> None:
    with (
        Taps(network, ["words"]),
        pytest.raises(UserError, match=r"'words' gives no tensor to compare \(dict\)"),
    ):
        network(X)


def test_modules_that_did_not_run_are_refused(network: Tiny) -> None:
    taps = Taps(network, ["first", "unused"], whose="student")
    network(X)
    with pytest.raises(UserError, match=r"the student's module 'unused' did not run .*; tap another module"):
        taps.take()


def test_inside_of_a_fused_block_is_refused_and_the_block_named() -> None:
    network = build_model(CONVTASNET)
    noisy = torch.randn(1, 80)
    with Taps(network, ["separator.blocks.0"]) as taps:
        network(noisy)
        assert taps.take()["separator.blocks.0"].shape[:2] == (1, 4)
    for inside in ("separator.blocks.0.body", "separator.blocks.0.body.2"):
        taps = Taps(network, [inside])
        network(noisy)
        with pytest.raises(UserError, match=r"tap the module around it, 'separator\.blocks\.0'\."):
            taps.take()
        taps.close()


def test_under_autocast(network: Tiny) -> None:
    with Taps(network, ["first"]) as taps, torch.autocast("cpu", dtype=torch.bfloat16):
        network(X)
        assert taps.take()["first"].dtype == torch.bfloat16


def test_in_a_distributed_network(network: Tiny, tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        taps = Taps(network, ["second"])
        output = nn.parallel.DistributedDataParallel(network)(X)
        (output.sum() + taps.take()["second"].sum()).backward()
    finally:
        torch.distributed.destroy_process_group()
    plain = copy.deepcopy(network)
    plain.zero_grad()
    (plain(X).sum() + plain.second(plain.first(X)).sum()).backward()
    torch.testing.assert_close(network.first.weight.grad, plain.first.weight.grad)


def test_in_a_compiled_network(network: Tiny) -> None:
    taps = Taps(network, ["first"])
    compiled = torch.compile(nn.Sequential(network), backend="eager")
    for scale in (1, 2):
        compiled(scale * X)
        torch.testing.assert_close(taps.take()["first"], network.first(scale * X))

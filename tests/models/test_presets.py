"""Every preset keeps what users rely on; build_model refuses in one sentence."""

import pytest
import torch

from sedistill.common.errors import UserError
from sedistill.models.base import SpeechEnhancer
from sedistill.models.complexity import parameters
from sedistill.models.presets import PRESETS, build_model
from sedistill.training.enhancement_losses import ENHANCEMENT_LOSSES

PARAMETERS = {
    "convtasnet-dispatch-teacher": 9_706_679,
    "convtasnet-dispatch-student": 1_751_459,
    "dccrn-cl-dispatch-teacher": 9_216_525,
    "dccrn-cl-dispatch-student": 2_241_805,
    "convtasnet-dfkd-teacher": 4_918_833,
    "convtasnet-dfkd-small": 2_523_697,
    "convtasnet-dfkd-tiny": 1_326_129,
    "convtasnet-kdrl-teacher": 8_507_435,
    "convtasnet-kdrl-student": 2_207_723,
    "dccrn-cl-dfkd-teacher": 14_661_645,
    "dccrn-cl-dfkd-small": 8_251_405,
    "dccrn-cl-dfkd-tiny": 3_671_053,
    "dptnet-dfkd-teacher": 11_126_913,
    "dptnet-dfkd-small": 6_271_585,
    "dptnet-dfkd-tiny": 2_798_657,
    "manner-b": 24_068_671,
    "manner-s": 21_253_921,
    "manner-s-8.1gf": 1_380_901,
    "manner-s-5.3gf": 901_777,
    "manner-s-1.5gf": 257_785,
    "wave-u-net-100": 10_263_002,
    "wave-u-net-75": 7_858_097,
    "wave-u-net-50": 5_150_237,
    "wave-u-net-25": 2_566_862,
    "wave-u-net-12": 1_141_322,
    "demucs-small": 18_867_937,
    "demucs-large": 33_533_569,
    "tstnn": 924_771,
    "clean-unet": 39_771_265,
    "clean-unet-full": 46_071_937,
    "e3net": 4_475_143,
    "fastenhancer-t": 22_451,
    "fastenhancer-b": 93_087,
    "fastenhancer-s": 196_819,
    "fastenhancer-m": 495_987,
    "fastenhancer-l": 1_111_907,
    "gtcrn": 48_245,
    "convtasnet-small-teacher": 517_177,
    "convtasnet-tiny": 36_029,
}
LENGTHS = (1, 7, 16, 1_501)


@pytest.fixture(scope="module", params=PRESETS)
def model(request: pytest.FixtureRequest) -> SpeechEnhancer:
    torch.manual_seed(0)
    return build_model(request.param)


def test_every_preset_has_its_count() -> None:
    assert PARAMETERS.keys() == PRESETS.keys()


def test_count(model: SpeechEnhancer) -> None:
    assert model.preset is not None
    assert parameters(model) == PARAMETERS[model.preset]
    printed = PRESETS[model.preset].printed_parameters
    assert not printed or printed in as_papers_print(parameters(model))


def as_papers_print(count: int) -> list[str]:
    """Millions with one decimal or two, rounded or (as some papers do) cut; or thousands."""
    figures = [f"{count / 1e3:.1f} k"]
    for digits in (1, 2):
        figures += [f"{count / 1e6:.{digits}f} M", f"{count * 10**digits // 10**6 / 10**digits} M"]
    return figures


def test_inverted_network_gives_the_negated_output(model: SpeechEnhancer) -> None:
    noisy = torch.randn(1, 800)
    kept = getattr(model, "kept_share", 0.0) * noisy  # by an attenuation limit, whatever is made of the rest
    with torch.no_grad():
        upright = model.eval()(noisy) - kept
        model.invert()
        inverted = model(noisy) - kept
        model.invert()
        again = model(noisy) - kept
    torch.testing.assert_close(inverted, -upright, atol=1e-6 * float(upright.abs().max()), rtol=1e-4)
    assert torch.equal(again, upright)


@pytest.mark.parametrize("length", LENGTHS)
def test_any_length_in_the_same_out(model: SpeechEnhancer, length: int) -> None:
    with torch.no_grad():
        enhanced = model.eval()(torch.randn(1, length))
    assert enhanced.shape == (1, length)
    assert enhanced.dtype == torch.float32
    assert enhanced.isfinite().all()


@pytest.mark.parametrize("training", [False, True])
def test_silence_stays_finite(model: SpeechEnhancer, training: bool) -> None:
    model.zero_grad()
    enhanced = model.train(training)(torch.zeros(2, 700))
    enhanced.square().sum().backward()
    assert enhanced.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_every_parameter_learns(model: SpeechEnhancer) -> None:
    torch.manual_seed(1)
    model.zero_grad()
    model.train()(torch.randn(2, 1300)).square().mean().backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_batch_equals_one_by_one(model: SpeechEnhancer) -> None:
    clips = torch.randn(2, 900)
    with torch.no_grad():
        together = model.eval()(clips)
        alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_settings_build_the_same_network(model: SpeechEnhancer) -> None:
    again = build_model({"class": type(model).__name__, **model.settings})
    assert again.settings == model.settings
    assert again.preset == model.preset
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }


def test_stated_facts(model: SpeechEnhancer) -> None:
    assert model.sample_rate == 16_000
    assert model.se_loss in ENHANCEMENT_LOSSES
    assert model.output_gain == 1.0


def test_a_later_sample_reaches_the_first_where_latency_is_the_whole_clip() -> None:
    model = build_model("convtasnet-tiny").eval()
    noisy = torch.randn(1, 2000)
    changed = noisy.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        assert model(noisy)[0, 0] != model(changed)[0, 0]
    assert model.latency_samples is None


def test_preset_with_changes() -> None:
    model = build_model({"preset": "convtasnet-tiny", "hidden": 8})
    assert model.settings["hidden"] == 8
    assert model.settings["bottleneck"] == 24
    assert model.preset is None
    assert build_model({"preset": "convtasnet-tiny", "hidden": 48}).preset == "convtasnet-tiny"


def test_same_seed_same_weights() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(5)
        weights.append(torch.cat([p.flatten() for p in build_model("convtasnet-tiny").parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("convtasnet-tinny", "no preset 'convtasnet-tinny'; did you mean convtasnet-tiny?"),
        ("qqq", "no preset 'qqq'; `sedistill models` lists what there is."),
        ({"preset": 3}, "no preset '3'"),
        ({"class": "convtasnet"}, "no network class 'convtasnet'; did you mean ConvTasNet?"),
        (
            {"preset": "convtasnet-tiny", "filter": 3},
            "ConvTasNet has no setting 'filter'; did you mean filters?",
        ),
        ({"class": "DCCRN", "lstm_unit": 3}, "DCCRN has no setting 'lstm_unit'; did you mean lstm_units?"),
        ({"class": "ConvTasNet", "filters": -3}, "filters = -3"),
        ({"filters": 3}, "either `preset` or `class`"),
        ({"preset": "convtasnet-tiny", "class": "ConvTasNet"}, "either `preset` or `class`"),
    ],
)
def test_wrong_descriptions(wanted: object, sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        build_model(wanted)  # type: ignore[arg-type]
    assert sentence in str(raised.value)

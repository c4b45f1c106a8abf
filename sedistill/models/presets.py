"""Networks by name: the papers' configurations and small ones for work on a CPU."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sedistill.common.argument_checks import check_kind
from sedistill.common.errors import UserError, nearest
from sedistill.models.base import SpeechEnhancer
from sedistill.models.network_classes import NETWORKS, network_class, network_name

LIST = "sedistill models"
"""The command that lists presets."""


@dataclass(frozen=True)
class Preset:
    """A named configuration. `printed_*` are a paper's own figures, "" where there is no paper."""

    network: str
    settings: Mapping[str, Any]
    paper: str = ""
    printed_parameters: str = ""
    printed_macs: str = ""
    note: str = field(default="", kw_only=True)


FAST_ENHANCER = "FastEnhancer (2026)"
DISPATCH = "DISPatch (2025)"
DFKD = "DFKD (2025)"
GTCRN_PAPER = "GTCRN (2024)"
KDRL = "KDRL (2023)"
MV_AT = "MV-AT (2022)"
_HALVED_MACS = (
    "The paper's MACs leave out the skip path and every convolution that its counter did not know: "
    "less than half of the true ones."
)
_DOUBLED_MACS = "The paper's MACs count each strided transposed convolution twice."
_SWAPPED_COLUMNS = (
    "The paper's table has parameters and MACs of this network in each other's column; the MACs are of 2 s, "
    "or those of 1 s doubled, and the parameters are cut rather than rounded."
)
_OWN_DCCRN = (
    "Not the paper's network, whose layers for this size cannot be told from what it prints (small 8.77 M, "
    "7.45 G; tiny 4.26 M, 3.33 G): these are three quarters and half of the teacher in every width."
)
_INFERRED_DCCRN = "The layers are inferred: the only natural ones that give the paper's parameters."
_FREE_CONVTASNET = "The paper gives no settings and many fit its counts; these are one natural pair."
_DPTNET_MACS = (
    "How the paper counted is not known: its MACs are all 3.7 times below a usual count of one second."
)
_MANNER_FLOPS = (
    "The paper's FLOPs are twice the MACs of a clip of 4 s, with transposed convolutions counted 4 times, "
    "element-wise work counted and attention left out."
)
_FROZEN_BANDS = (
    "24,576 of the parameters are a fixed filter bank and its inverse, which are not trained; the paper's "
    "23.67 k leaves them out. Its MACs, by an older counter, are of 63 frames, here one more."
)
_UNFOLDED = (
    "Parameters as trained; batch norm and weight norm can be folded into the weights for use, which leaves "
    "21,774 (t), 91,430 (b), 194,418 (s), 491,594 (m) and 1,104,610 (l)."
)
_SMALL_DEMUCS = (
    "The paper's FLOPs are twice the MACs of a clip of 4 s, with transposed convolutions counted as often as "
    "their stride. What waits for the whole clip is the division by its deviation: with normalize: false the "
    "network is causal and needs 48 ms."
)
_LARGE_DEMUCS = (
    "FLOPs and causality as of the small one, 14 ms. The paper's scores in this row seem to be those of the "
    "network with LSTMs both ways (bidirectional: true), which has 60.8 M parameters."
)
_TSTNN_FLOPS = "The paper's FLOPs are twice the MACs of a clip of 4 s and count some element-wise work."
_KDRL_CLEAN_UNET = (
    "KDRL's count is of three blocks of attention. With normalize: false CleanUNet is causal and needs 48 ms."
)
_FULL_CLEAN_UNET = "The five blocks of attention of CleanUNet's published configurations and weights."
_LIKE_E3NET = (
    "E3Net-like: the reference network cannot be told from what is printed; these are natural widths with "
    "that count, and the speaker embedding is left out."
)
_HALF_WAVE_U_NET = "The paper leaves out this size's filters; 17 fits its count, cut rather than rounded."


def _convtasnet_dfkd(width: int, printed_parameters: str, printed_macs: str) -> Preset:
    settings = {"filters": 512, "filter_length": 16, "bottleneck": width, "hidden": 512, "skip": width,
                "kernel": 3, "blocks": 8, "repeats": 3, "deep_layers": 0, "mask": "sigmoid"}  # fmt: skip
    return Preset("ConvTasNet", settings, DFKD, printed_parameters, printed_macs, note=_SWAPPED_COLUMNS)


def _convtasnet_kdrl(width: int, printed_parameters: str) -> Preset:
    settings = {"filters": 256, "filter_length": 20, "bottleneck": width, "hidden": 512, "skip": width,
                "kernel": 3, "blocks": 7, "repeats": 3, "deep_layers": 0, "mask": "sigmoid",
                "last_residual": True}  # fmt: skip
    return Preset("ConvTasNet", settings, KDRL, printed_parameters, note=_FREE_CONVTASNET)


def _dptnet(filters: int, hidden: int, printed_parameters: str, printed_macs: str) -> Preset:
    settings = {"filters": filters, "hidden": hidden}
    return Preset("DPTNet", settings, DFKD, printed_parameters, printed_macs, note=_DPTNET_MACS)


def _manner(channels: int, depth: int, attention: str, printed_parameters: str, printed_flops: str) -> Preset:
    settings = {"channels": channels, "depth": depth, "attention": attention}
    return Preset("MANNER", settings, MV_AT, printed_parameters, printed_flops, note=_MANNER_FLOPS)


def _demucs(channels: int, stride: int, printed_parameters: str, printed_flops: str, note: str) -> Preset:
    settings = {"channels": channels, "stride": stride, "resample": stride}
    return Preset("DEMUCS", settings, MV_AT, printed_parameters, printed_flops, note=note)


def _wave_u_net(filters: int, printed_parameters: str, note: str = "") -> Preset:
    return Preset("WaveUNet", {"filters": filters}, KDRL, printed_parameters, note=note)


def _fast_enhancer(
    channels: int, convolutions: int, blocks: int, units: int, bands: int, hop_length: int, printed_macs: str,
    attenuation_limit_db: float = 28,
) -> Preset:  # fmt: skip
    """The authors' sizes; the limit is ours (docs/ready-made.md) and changes nothing in training."""
    settings = {"channels": channels, "convolutions": convolutions, "blocks": blocks, "units": units,
                "bands": bands, "hop_length": hop_length,
                "attenuation_limit_db": attenuation_limit_db}  # fmt: skip
    return Preset("FastEnhancer", settings, FAST_ENHANCER, printed_macs=printed_macs, note=_UNFOLDED)


PRESETS: dict[str, Preset] = {
    "convtasnet-dispatch-teacher": Preset(
        "ConvTasNet",
        {"filters": 512, "filter_length": 16, "bottleneck": 128, "hidden": 512, "skip": 128, "kernel": 3,
         "blocks": 8, "repeats": 3, "deep_layers": 3, "mask": "relu"},
        DISPATCH, "9.71 M", "8.05 G", note=_HALVED_MACS,
    ),
    "convtasnet-dispatch-student": Preset(
        "ConvTasNet",
        {"filters": 128, "filter_length": 40, "bottleneck": 128, "hidden": 256, "skip": 128, "kernel": 3,
         "blocks": 7, "repeats": 2, "deep_layers": 3, "mask": "relu"},
        DISPATCH, "1.75 M", "0.57 G", note=_HALVED_MACS,
    ),
    "dccrn-cl-dispatch-teacher": Preset(
        "DCCRN",
        {"channels": [64, 128, 256, 256, 512, 512], "lstm_units": 256, "lstm_layers": 2,
         "window_length": 512, "hop_length": 256},
        DISPATCH, "9.22 M", "15.33 G", note=_DOUBLED_MACS,
    ),
    "dccrn-cl-dispatch-student": Preset(
        "DCCRN",
        {"channels": [32, 64, 128, 128, 256, 256], "lstm_units": 128, "lstm_layers": 1,
         "window_length": 512, "hop_length": 256},
        DISPATCH, "2.24 M", "3.84 G", note=_DOUBLED_MACS,
    ),
    "convtasnet-dfkd-teacher": _convtasnet_dfkd(128, "4.91 M", "19.67 G"),
    "convtasnet-dfkd-small": _convtasnet_dfkd(64, "2.52 M", "10.11 G"),
    "convtasnet-dfkd-tiny": _convtasnet_dfkd(32, "1.32 M", "5.33 G"),
    "convtasnet-kdrl-teacher": _convtasnet_kdrl(256, "8.5 M"),
    "convtasnet-kdrl-student": _convtasnet_kdrl(64, "2.2 M"),
    "dccrn-cl-dfkd-teacher": Preset(
        "DCCRN",
        {"channels": [64, 128, 256, 512, 512, 512], "lstm_units": 512, "lstm_layers": 2},
        DFKD, "14.66 M", "13.47 G", note=_INFERRED_DCCRN,
    ),
    "dccrn-cl-dfkd-small": Preset(
        "DCCRN",
        {"channels": [48, 96, 192, 384, 384, 384], "lstm_units": 384, "lstm_layers": 2},
        note=_OWN_DCCRN,
    ),
    "dccrn-cl-dfkd-tiny": Preset(
        "DCCRN",
        {"channels": [32, 64, 128, 256, 256, 256], "lstm_units": 256, "lstm_layers": 2},
        note=_OWN_DCCRN,
    ),
    "dptnet-dfkd-teacher": _dptnet(128, 256, "11.13 M", "11.73 G"),
    "dptnet-dfkd-small": _dptnet(96, 192, "6.27 M", "6.63 G"),
    "dptnet-dfkd-tiny": _dptnet(64, 128, "2.8 M", "2.97 G"),
    "manner-b": _manner(60, 4, "all", "24.07 M", "61.92 G"),
    "manner-s": _manner(60, 4, "deepest", "21.25 M", "38.34 G"),
    "manner-s-8.1gf": _manner(30, 3, "deepest", "1.38 M", "8.14 G"),
    "manner-s-5.3gf": _manner(24, 3, "deepest", "0.90 M", "5.32 G"),
    "manner-s-1.5gf": _manner(12, 3, "deepest", "0.26 M", "1.46 G"),
    "wave-u-net-100": _wave_u_net(24, "10.3 M"),
    "wave-u-net-75": _wave_u_net(21, "7.9 M"),
    "wave-u-net-50": _wave_u_net(17, "5.1 M", _HALF_WAVE_U_NET),
    "wave-u-net-25": _wave_u_net(12, "2.6 M"),
    "wave-u-net-12": _wave_u_net(8, "1.1 M"),
    "demucs-small": _demucs(48, 4, "18.87 M", "34.56 G", _SMALL_DEMUCS),
    "demucs-large": _demucs(64, 2, "33.53 M", "388.48 G", _LARGE_DEMUCS),
    "tstnn": Preset("TSTNN", {}, MV_AT, "0.92 M", "166.54 G", note=_TSTNN_FLOPS),
    "clean-unet": Preset("CleanUNet", {"blocks": 3}, KDRL, "39.77 M", note=_KDRL_CLEAN_UNET),
    "clean-unet-full": Preset("CleanUNet", {"blocks": 5}, note=_FULL_CLEAN_UNET),
    "e3net": Preset(
        "E3Net",
        {"filters": 2048, "window_length": 320, "projection": 256, "inner": 1024, "hidden": 256, "blocks": 2},
        KDRL, "4.5 M", note=_LIKE_E3NET,
    ),
    "fastenhancer-t": _fast_enhancer(24, 2, 2, 20, 16, 256, "60 M", attenuation_limit_db=26),
    "fastenhancer-b": _fast_enhancer(48, 2, 3, 36, 24, 256, "262 M"),
    "fastenhancer-s": _fast_enhancer(64, 3, 3, 48, 36, 256, "664 M"),
    "fastenhancer-m": _fast_enhancer(96, 3, 4, 72, 48, 160, "2.9 G"),
    "fastenhancer-l": _fast_enhancer(128, 4, 5, 96, 64, 100, "12 G"),
    "gtcrn": Preset("GTCRN", {}, GTCRN_PAPER, "48.2 k", "33.0 M", note=_FROZEN_BANDS),
    "convtasnet-small-teacher": Preset(
        "ConvTasNet",
        {"filters": 192, "filter_length": 40, "bottleneck": 96, "hidden": 192, "skip": 0, "kernel": 3,
         "blocks": 6, "repeats": 2, "deep_layers": 0, "mask": "sigmoid", "encoder_relu": True},
        note="No paper: a teacher that a CPU trains in half an hour.",
    ),
    "convtasnet-tiny": Preset(
        "ConvTasNet",
        {"filters": 64, "filter_length": 40, "bottleneck": 24, "hidden": 48, "skip": 0, "kernel": 3,
         "blocks": 5, "repeats": 2, "deep_layers": 0, "mask": "sigmoid", "encoder_relu": True},
        note="No paper: a student that a CPU trains in minutes.",
    ),
}  # fmt: skip


def build_model(name_or_settings: str | Mapping[str, Any]) -> SpeechEnhancer:
    """Build a network with fresh weights (from torch's global generator).

    Takes a preset's name, `{"preset": name, **changes}` or `{"class": "ConvTasNet", **settings}`; a class of
    another package is named as `sedistill.common.extensions` says.
    Raises UserError for an unknown preset, class or setting (naming the nearest) and for impossible values.
    """
    network, settings = _resolve(name_or_settings)
    known = list(inspect.signature(network).parameters)
    for key in settings:
        if key not in known:
            raise UserError(f"{network.__name__} has no setting '{key}'{nearest(key, known)}")
    model = network(**settings)
    model.preset = _preset_with(model)
    return model


def full_settings(name_or_settings: str | Mapping[str, Any]) -> dict[str, Any]:
    """What a description of a network means: its class and every setting, as plain data.

    Takes what `build_model` takes and raises as it does for an unknown preset or class.
    """
    network, settings = _resolve(name_or_settings)
    known = inspect.signature(network).parameters.values()
    defaults = {one.name: one.default for one in known if one.default is not inspect.Parameter.empty}
    return json.loads(json.dumps({"class": network_name(network), **defaults, **settings}, default=str))


def _resolve(name_or_settings: str | Mapping[str, Any]) -> tuple[type[SpeechEnhancer], dict[str, Any]]:
    if isinstance(name_or_settings, str):
        name_or_settings = {"preset": name_or_settings}
    check_kind("the network", name_or_settings, Mapping, "a preset's name, or a mapping")
    settings = dict(name_or_settings)
    preset_name, class_name = settings.pop("preset", None), settings.pop("class", None)
    if (preset_name is None) == (class_name is None):
        raise UserError("a network is described by either `preset` or `class` (and its settings); give one.")
    if class_name is not None:
        return network_class(class_name), settings
    if not isinstance(preset_name, str) or preset_name not in PRESETS:
        raise UserError(f"there is no preset '{preset_name}'{nearest(preset_name, PRESETS, LIST)}")
    preset = PRESETS[preset_name]
    return network_class(preset.network), {**preset.settings, **settings}


def _preset_with(model: SpeechEnhancer) -> str | None:
    """The preset whose settings, where it states any, are the model's, with defaults for the rest."""
    defaults = {k: p.default for k, p in inspect.signature(type(model)).parameters.items()}
    for name, preset in PRESETS.items():
        if NETWORKS[preset.network] is type(model) and {**defaults, **preset.settings} == model.settings:
            return name
    return None

"""A saved model: a folder with the weights (safetensors) and a card a person can read (YAML).

Loading looks the class up by name and reads plain data: no code from the files runs. A class of another
package is imported only where that package is installed as an extension, or code is trusted
(`sedistill.common.extensions`).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import safetensors
import torch
from pydantic import AfterValidator, Field
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from sedistill.common.devices import keeping_torch_state
from sedistill.common.errors import UserError
from sedistill.common.extensions import package_of
from sedistill.common.integrity import CHECKSUM, bytes_hash, facts_checksum
from sedistill.common.provenance import Provenance
from sedistill.common.reading import is_taken, require_file, require_folder
from sedistill.common.settings import Record, read_record
from sedistill.common.writing import atomic_folder, is_empty_folder
from sedistill.common.yaml_files import yaml_text
from sedistill.models.base import SpeechEnhancer, check_network
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.network_classes import network_name
from sedistill.models.presets import build_model
from sedistill.models.ready_made import CARD as CARD
from sedistill.models.ready_made import WEIGHTS, saved_folder, what_is_missing

GIVEN_FIELDS = ("output_gain", "metrics", "training", "licences")

WEIGHTS_HASH = "weights_sha256"
DECISIVE_FIELDS = ("class", "settings", "sample_rate", "output_gain", WEIGHTS_HASH)
"""What decides the output; the card's checksum is over these. All else is for readers and may be edited."""
EDITED = "edited"
"""A person's word, in the place of the checksum, that a change of these is meant."""
_ABOUT_CHECKSUM = (
    f"# {CHECKSUM} is over {', '.join(DECISIVE_FIELDS)}; all else may be edited freely. To change one of\n"
    f"# these by hand, write `{CHECKSUM}: {EDITED}`.\n"
)


def _not_zero(gain: float) -> float:
    if gain == 0:
        raise ValueError("it must be a number other than 0")
    return gain


class _Card(Record):
    """What card.yaml has to hold. `training` tells what else reads it."""

    network: Annotated[str, Field(alias="class")]
    settings: dict[str, Any]
    output_gain: Annotated[float, Field(allow_inf_nan=False), AfterValidator(_not_zero)] = 1.0
    training: dict[str, Any] = Field(default_factory=dict)


def save_model(
    model: SpeechEnhancer,
    folder: Path | str,
    card_extra: Mapping[str, Any] | None = None,
    overwrite: bool = True,
) -> None:
    """Write `model` as a folder that `load_model` reads; whole or not at all.

    `card_extra` may give `output_gain` (factor from the output onto clean speech), `metrics`, `training`
    (recipe, seed, hashes of data and teacher) and `licences`; the rest of the card is filled in here.
    Raises UserError when the disk is full, when `folder` exists and `overwrite` is False, or when `folder`
    holds something other than a saved model.
    """
    check_network(model)
    folder = Path(folder)
    if not is_empty_folder(folder) and folder.exists() and not (folder / CARD).is_file():
        raise UserError(f"{folder} exists and is not a saved model; choose another place.")
    card = _card(model, card_extra or {})
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    data = to_bytes(weights)
    card[WEIGHTS_HASH] = bytes_hash(data)
    card[CHECKSUM] = _checksum(card)
    with atomic_folder(folder, overwrite, marker=CARD) as temporary:
        (temporary / WEIGHTS).write_bytes(data)
        text = yaml_text(card)
        (temporary / CARD).write_text(text + _ABOUT_CHECKSUM, encoding="utf-8")


def load_model(folder: Path | str, device: str | torch.device = "cpu") -> SpeechEnhancer:
    """Load a saved model in eval mode, with `.card` and `.output_gain` filled.

    folder: that of a saved model, or the name of a ready-made network (`sedistill.models.ready_made`).
    Raises UserError, naming file and fault, for anything that is not a whole saved model.
    """
    folder = saved_folder(folder)
    card = _card_in(folder)
    try:
        with keeping_torch_state():  # the first weights are drawn, and then replaced
            model = build_model({"class": card["class"], **card["settings"]})
    except UserError as error:
        of = f" (of {card['package']})" if card.get("package") else ""
        raise UserError(f"{folder / CARD}: {error}{of}") from None
    _refuse_changed(folder / CARD, card)
    weights, found = _read_weights(folder / WEIGHTS)
    _check_fit(weights, model.state_dict(), folder)
    _refuse_other_weights(folder, card, found)
    model.load_state_dict(weights)
    model.card = card
    model.output_gain = card["output_gain"]
    return model.to(device).eval()


def read_card(folder: Path | str) -> dict[str, Any]:
    """Read a saved model's card alone; raises UserError when it is not one, or not as it was written."""
    folder = saved_folder(folder)
    card = _card_in(folder)
    _refuse_changed(folder / CARD, card)
    return card


def _card_in(folder: Path) -> dict[str, Any]:
    if is_taken(folder):
        require_folder(folder, "give the folder of a saved model")
    if not is_taken(folder / CARD) and not is_taken(folder / WEIGHTS):
        raise UserError(f"{folder} {what_is_missing(folder)}")
    for name in (CARD, WEIGHTS):
        if is_taken(folder / name):
            require_file(folder / name, "put a good copy in its place, or train it again")
        else:
            raise UserError(f"{folder} is not a saved model: {name} is missing.")
    remedy = "put a good copy in its place, or train it again"
    return {"output_gain": 1.0, **read_record(_Card, folder / CARD, remedy)}


def _checksum(card: Mapping[str, Any]) -> str:
    return facts_checksum({name: card.get(name) for name in DECISIVE_FIELDS})


def _refuse_changed(path: Path, card: Mapping[str, Any]) -> None:
    """A card from before there were checksums holds neither of the two, and is believed."""
    written = card.get(CHECKSUM)
    if (written is None and WEIGHTS_HASH not in card) or written in (EDITED, _checksum(card)):
        return
    raise UserError(
        f"{path} was changed since it was written: {', '.join(DECISIVE_FIELDS)} do not fit its {CHECKSUM}; "
        f"put a good copy in its place or, where the change is meant, write `{CHECKSUM}: {EDITED}`."
    )


def model_hash(model: SpeechEnhancer | Path | str) -> str:
    """SHA-256 over names, types, shapes and bytes of all weights; the same for a model and its saved folder.

    The output gain and the settings (`settings_hash`) are not part of it.
    """
    if isinstance(model, Path | str):
        folder = saved_folder(model)
        card = read_card(folder)
        weights, found = _read_weights(folder / WEIGHTS)
        _refuse_other_weights(folder, card, found)
    else:
        weights = model.state_dict()
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def settings_hash(card: Mapping[str, Any]) -> str:
    """Of what a network is built from, its class and settings: weights do not tell a limit or a hop."""
    return facts_checksum({"class": card["class"], "settings": card["settings"]})


def _card(model: SpeechEnhancer, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [key for key in given if key not in GIVEN_FIELDS]
    if unknown:
        raise UserError(f"a card takes no field '{unknown[0]}'; it takes {', '.join(GIVEN_FIELDS)}.")
    class_name = network_name(type(model))
    of_package = {"package": package_of(class_name)} if "." in class_name else {}
    training = given.get("training", {})
    seeds = [training["seed"]] if "seed" in training else []
    hashes = {name: training.get(f"{name}_hash") for name in ("data", "teacher")}
    card = {
        "class": class_name,
        **of_package,
        "settings": model.settings,
        "preset": model.preset,
        "sample_rate": model.sample_rate,
        "causal": model.causal,
        "latency_ms": model.latency_ms,
        "parameters": parameters(model),
        "macs_per_second": macs_per_second(model),
        "output_gain": float(given.get("output_gain", model.output_gain)),
        "metrics": given.get("metrics", {}),
        "training": training,
        **Provenance.now(("torch",), seeds, hashes).facts(),
        "licences": {"code": "MIT", "weights": "not stated", "data": "not stated"}
        | given.get("licences", {}),
    }
    return json.loads(json.dumps(card, default=_plain))


def _plain(value: Any) -> Any:
    """NumPy and torch scalars as numbers, anything else (paths, dates) as its text."""
    return value.item() if hasattr(value, "item") else str(value)


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """The weights, and the hash of their file."""
    data = path.read_bytes()
    try:
        return from_bytes(data), bytes_hash(data)
    except safetensors.SafetensorError as error:
        raise UserError(
            f"{path} is damaged ({error}); it may have been cut short, copy or train it again."
        ) from None


def _refuse_other_weights(folder: Path, card: Mapping[str, Any], found: str) -> None:
    if card.get(WEIGHTS_HASH, found) != found:
        raise UserError(
            f"{folder / WEIGHTS} is damaged, or belongs to another {CARD}: its bytes are not those that "
            f"{CARD} was written for; copy or train it again."
        )


def _check_fit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], folder: Path) -> None:
    path = folder / WEIGHTS
    fault = ""
    for name in [*wanted, *found]:
        if name not in found:
            fault = f"{name} is missing"
        elif name not in wanted:
            fault = f"{name} does not belong to it"
        elif found[name].shape != wanted[name].shape:
            fault = f"{name} has shape {tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
        elif found[name].dtype != wanted[name].dtype:
            fault = f"{name} is {found[name].dtype}, not {wanted[name].dtype}"
        if fault:
            raise UserError(f"{path} does not fit the network in {CARD}: {fault}.")

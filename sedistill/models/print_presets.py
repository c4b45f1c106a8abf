"""Every preset with its size and true cost, as catalogue.json holds it.

python -m sedistill.models.print_presets        # writes it anew
"""

import json
from collections.abc import Iterator
from typing import Any

import torch

from sedistill.models.catalogue import PLACE
from sedistill.models.complexity import macs_per_second, parameters
from sedistill.models.presets import PRESETS, build_model


def entries() -> Iterator[dict[str, Any]]:
    """One preset after the other; shapes are enough to count, so no weights are drawn."""
    for name, preset in PRESETS.items():
        with torch.device("meta"):
            model = build_model(name)
        yield {
            "preset": name,
            "network": preset.network,
            "parameters": parameters(model),
            "macs_per_second": macs_per_second(model),
            "causal": model.causal,
            "latency_ms": model.latency_ms,
            "paper": preset.paper,
            "printed_parameters": preset.printed_parameters,
            "printed_macs": preset.printed_macs,
            "note": preset.note,
        }


def main() -> None:
    text = json.dumps(list(entries()), indent=1, ensure_ascii=False)
    PLACE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

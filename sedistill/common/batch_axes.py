"""Which axis of a batch of waveforms the samples are on."""

from torch import Tensor

FEW_SAMPLES = 8
"""So short no clip is: more of them than that mean that the axes of samples and channels were swapped."""


def refuse_swapped_batch(clips: Tensor, order: str) -> None:
    """Raise ValueError for many clips (B, ..., T) of few samples; `order` says how the axes should lie."""
    # The number of clips comes first: no exporter then asks for their length.
    if len(clips) > FEW_SAMPLES >= clips.shape[-1]:
        raise ValueError(
            f"{tuple(clips.shape)} would be {len(clips):,} clips of {clips.shape[-1]} samples; "
            f"the order is {order}"
        )

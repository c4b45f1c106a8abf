"""Of which axis of an array channels are."""

MOST_CHANNELS, FEW_CHANNELS = 64, 8
"""More channels than 64, or than samples (unless they are few), mean that axes were swapped."""


def refuse_swapped_axes(shape: tuple[int, ...], what: str) -> None:
    """Raise ValueError for what is neither (samples,) nor (channels, samples)."""
    if len(shape) not in (1, 2) or (len(shape) == 2 and not shape[0]):
        raise ValueError(f"{what} has shape {shape}, not (samples,) or (channels, samples)")
    channels, samples = shape if len(shape) == 2 else (1, shape[0])
    if channels > MOST_CHANNELS or (channels > FEW_CHANNELS and channels > samples > 0):
        raise ValueError(
            f"{what} has shape {shape}, which would be {channels} channels of {samples} samples; the "
            f"order is (channels, samples): give the transposed array, {what.split()[-1]}.T"
        )

"""How many utterances PESQ will find in a clean clip, counted by the detector of the `pesq` package itself.

PESQ's reference code has room for 50 utterances and writes beyond it without a check: the process dies, or
goes on with overwritten numbers. So they are counted before. The count is of the clean clip alone, by the
steps of ITU-T P.862: filters, voice activity in windows of 4 ms, utterances of 50 windows or more.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORTEST_UTTERANCE = SHORTEST_GAP = 50
"""Windows of 4 ms: shorter ones are no utterance, or are bridged."""

SEARCH_WINDOWS, PADDING_SECONDS, FADE = 75, 0.32, 16
WINDOW_SECONDS = 0.004


def utterances(clean: NDArray[np.float64], sample_rate: int, mode: str) -> int:
    """As PESQ counts them. AttributeError, OSError or ValueError where its functions cannot be reached."""
    import pesq.cypesq

    library = ctypes.PyDLL(pesq.cypesq.__file__)  # keeps the interpreter's lock: the rate is a global there
    flag, kind = ctypes.c_long(), ctypes.c_char_p()
    _call(library.select_rate, ctypes.c_long(sample_rate), ctypes.byref(flag), ctypes.byref(kind))
    around = SEARCH_WINDOWS * int(WINDOW_SECONDS * sample_rate)
    data = np.zeros(len(clean) + 3 * around + int(PADDING_SECONDS * sample_rate), dtype=np.float32)
    whole = len(clean) + 2 * around
    # The package's own scale: to a peak of 1, then to a mean power of 10^7.
    data[around : around + len(clean)] = clean * np.sqrt(1e7 / np.square(clean).mean())
    _filter(library, data, len(clean), around, sample_rate, mode)
    _call(library.DC_block, _floats(data), ctypes.c_long(whole))
    _call(library.apply_filters, _floats(data), ctypes.c_long(whole))
    activity, logarithm = (np.zeros(_windows(data, sample_rate), dtype=np.float32) for _ in range(2))
    signal = _Signal(samples=whole)
    _call(library.apply_VAD, ctypes.byref(signal), _floats(data), _floats(activity), _floats(logarithm))
    active = activity[: whole // int(WINDOW_SECONDS * sample_rate)] > 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], active, [False])).astype(int)))
    return int(np.sum(edges[1::2] - edges[::2] >= SHORTEST_UTTERANCE))


def _filter(
    library: Any, data: NDArray[np.float32], samples: int, around: int, sample_rate: int, mode: str
) -> None:
    if mode == "nb":
        curve = (ctypes.c_double * 52).in_dll(library, "standard_IRS_filter_dB")
        whole = ctypes.c_long(samples + 2 * around)
        _call(library.apply_filter, _floats(data), whole, ctypes.c_int(len(curve) // 2), curve)
        return
    rate = f"{sample_rate // 1000}k"
    sections = ctypes.c_long.in_dll(library, f"WB_InIIR_Nsos_{rate}")
    filters = (ctypes.c_float * (5 * sections.value)).in_dll(library, f"WB_InIIR_Hsos_{rate}")
    fade = np.arange(FADE, dtype=np.float32) / FADE
    data[around - 1 : around - 1 + FADE] *= fade
    data[around + samples - FADE + 1 : around + samples + 1] *= fade[::-1]
    count, inner, length = ctypes.c_ulong(sections.value), _floats(data[around:]), ctypes.c_ulong(samples)
    _call(library.IIRFilt, filters, count, None, inner, length, None)


class _Signal(ctypes.Structure):
    """What the detector takes: of all this it reads the number of samples."""

    _fields_ = (
        ("path", ctypes.c_char * 512),
        ("file", ctypes.c_char * 128),
        ("samples", ctypes.c_long),
        ("others", ctypes.c_long * 2),
        ("data", ctypes.c_void_p * 3),
    )


def _call(function: Callable[..., Any], *arguments: Any) -> None:
    function.restype = None  # type: ignore[attr-defined]
    function(*arguments)


def _floats(array: NDArray[np.float32]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def _windows(samples: NDArray, sample_rate: int) -> int:
    return len(samples) // int(WINDOW_SECONDS * sample_rate)


def most_utterances(clean: NDArray[np.float64], sample_rate: int) -> int:
    """An upper estimate: where PESQ puts its threshold is not known, so the most crowded one is counted."""
    count = _windows(clean, sample_rate)
    energy = np.square(clean[: count * int(WINDOW_SECONDS * sample_rate)]).reshape(count, -1).mean(axis=1)
    thresholds = energy.max() * 10 ** (-np.arange(0.0, 60.0) / 10)
    return max(_utterances_above(energy, threshold) for threshold in thresholds)


def _utterances_above(energy: NDArray[np.float64], threshold: float) -> int:
    active = np.flatnonzero(energy >= threshold)
    breaks = np.flatnonzero(np.diff(active) > SHORTEST_GAP)
    starts = active[np.concatenate(([0], breaks + 1))]
    ends = active[np.concatenate((breaks, [len(active) - 1]))]
    return int(np.sum(ends - starts + 1 >= SHORTEST_UTTERANCE))

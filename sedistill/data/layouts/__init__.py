"""The folder layouts users own: which file is clean, noise or noisy, of which split, speaker or class.

A layout only looks at names; whether a file is usable is found out by `data.file_checks`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.common.reading import require_folder
from sedistill.data.layouts.dns2020 import list_dns2020
from sedistill.data.layouts.folders import list_folders, list_pairs
from sedistill.data.layouts.layout_listing import Listing, Source
from sedistill.data.layouts.timit_noisex92 import find_both, list_timit_noisex92
from sedistill.data.layouts.voicebank_demand import list_voicebank_demand

__all__ = ["LAYOUTS", "Listing", "Source", "find_sources"]

VOICEBANK = {"voicebank-demand": None, "voicebank-demand-28": 28, "voicebank-demand-56": 56}
LAYOUTS = ("auto", "folders", "pairs", *VOICEBANK, "dns2020", "timit-noisex92")


def find_sources(
    layout: str,
    root: Path | None,
    clean: Path | None,
    noise: Path | None,
    noisy: Path | None,
    valid_speakers: Sequence[str] | None = None,
    speaker_from: str | None = None,
    noise_from: str | None = None,
    may_lack_one: bool = False,
) -> Listing:
    """List a corpus. Raises UserError for missing or empty folders and contradicting choices.

    may_lack_one: whether clean speech, or noise, may be given alone.
    """
    patterns = compiled(speaker_from, "speaker_from"), compiled(noise_from, "noise_from")
    if layout not in LAYOUTS:
        raise UserError(f"unknown layout '{layout}'; choose one of {', '.join(LAYOUTS)}.")
    for folder in (root, clean, noise, noisy):
        if folder is not None:
            require_folder(folder, "give a folder of audio files")
    if root is not None and any((clean, noise, noisy)):
        raise UserError(f"give either the folder {root} alone or --clean with --noise or --noisy, not both.")
    if root is not None:
        layout = _recognize(root) if layout == "auto" else layout
    if valid_speakers is not None and layout not in VOICEBANK:
        raise UserError(
            f"valid_speakers is for VoiceBank+DEMAND; in layout {layout} put the validation files into a "
            "folder called valid."
        )
    if root is not None:
        return _list_root(layout, root, valid_speakers, patterns)
    if may_lack_one and noisy is None and (clean or noise) and layout in ("auto", "folders"):
        return list_folders(clean, noise, *patterns)
    return _list_named(layout, clean, noise, noisy, patterns)


Patterns = tuple[re.Pattern[str] | None, re.Pattern[str] | None]
"""What tells the speaker, and the recording of a noise."""


def compiled(pattern: str | None, name: str) -> re.Pattern[str] | None:
    """A regular expression with a group. Raises UserError, calling it `name`, for what is none."""
    if pattern is None:
        return None
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"{name}: '{pattern}' is no regular expression ({error}); write one such as '^([^_]+)_'."
        ) from None
    if not expression.groups:
        raise UserError(
            f"{name}: '{pattern}' has no group; put what is meant into round brackets, as in '^([^_]+)_'."
        )
    return expression


def _refuse_patterns(layout: str, patterns: Patterns) -> None:
    if any(patterns):
        raise UserError(
            f"layout {layout} knows its speakers and noises by itself; take speaker_from and noise_from out."
        )


def _list_named(
    layout: str, clean: Path | None, noise: Path | None, noisy: Path | None, patterns: Patterns
) -> Listing:
    if layout in (*VOICEBANK, "dns2020"):
        raise UserError(f"layout {layout} is one folder; give it in place of --clean, --noise and --noisy.")
    if clean and noise and not noisy and layout == "timit-noisex92":
        _refuse_patterns(layout, patterns)
        return list_timit_noisex92(clean, noise)
    if clean and noise and not noisy and layout in ("auto", "folders"):
        return list_folders(clean, noise, *patterns)
    if clean and noisy and not noise and layout in ("auto", "pairs"):
        return _list_pairs(clean, noisy, patterns)
    raise UserError("give --clean with --noise (to mix), --clean with --noisy (ready pairs), or one folder.")


def _list_pairs(clean: Path, noisy: Path, patterns: Patterns) -> Listing:
    if patterns[1] is not None:
        raise UserError("noise_from is for folders of noise; ready pairs have none, so take it out.")
    return list_pairs(clean, noisy, patterns[0])


def _list_root(layout: str, root: Path, valid_speakers: Sequence[str] | None, patterns: Patterns) -> Listing:
    if layout not in ("folders", "pairs"):
        _refuse_patterns(layout, patterns)
    if layout in VOICEBANK:
        return list_voicebank_demand(root, VOICEBANK[layout], valid_speakers)
    if layout == "dns2020":
        return list_dns2020(root)
    if layout == "timit-noisex92":
        return list_timit_noisex92(root, root)
    second = "noise" if layout == "folders" else "noisy"
    for folder in (root / "clean", root / second):
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist; layout {layout} needs clean/ and {second}/ in {root}.")
    if layout == "folders":
        return list_folders(root / "clean", root / "noise", *patterns)
    return _list_pairs(root / "clean", root / "noisy", patterns)


def _recognize(root: Path) -> str:
    if (root / "datasets" / "clean").is_dir() or (root / "test_set" / "synthetic").is_dir():
        return "dns2020"
    if any(root.glob("noisy_trainset*")) or any(root.glob("noisy_testset*")):
        return "voicebank-demand"
    if (root / "clean").is_dir() and (root / "noise").is_dir():
        return "folders"
    if (root / "clean").is_dir() and (root / "noisy").is_dir():
        return "pairs"
    if find_both(root):
        return "timit-noisex92"
    raise UserError(
        f"{root} is in no known layout: it holds neither clean/ with noise/ or noisy/, nor the folders of "
        "VoiceBank+DEMAND, DNS2020, or TIMIT with NOISEX-92; say --clean and --noise (or --noisy) instead."
    )

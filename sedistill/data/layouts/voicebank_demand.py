"""VoiceBank+DEMAND (Valentini-Botinhao et al. 2016): ready pairs of 28 or 56 speakers, and 2 for the test."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sedistill.common.errors import UserError
from sedistill.data.expected_counts import Part
from sedistill.data.layouts.layout_listing import VALID_ONLY, Listing, audio_files, match_pairs

VALID_SPEAKERS = ("p226", "p287")
TEST_SPEAKERS = ("p232", "p257")


def list_voicebank_demand(root: Path, speakers: int | None, valid_speakers: Sequence[str] | None) -> Listing:
    """List the archive by its folder names, such as noisy_trainset_28spk_wav.

    The published set has no validation part. Where `valid_speakers` is None, p226 and p287 are taken out of
    the 28 training speakers, as is customary (770 of the 11,572 pairs), and a tenth of the 56.

    Args:
        speakers: 28 or 56; None takes the training set that is there.

    Raises UserError: no such folder, one half of a pair of folders, both training sets and no choice, test
    speakers in the training set, validation speakers that are not there.
    """
    trainset, testset = _training_folder(root, speakers), _folder(root, "noisy_testset*")
    found = [folder for folder in (trainset, testset) if folder is not None]
    if not found:
        raise UserError(f"{root} holds no folder such as noisy_trainset_28spk_wav or noisy_testset_wav.")
    listing = Listing("voicebank-demand", {})
    for noisy in found:
        _add_set(listing, noisy, split="test" if noisy == testset else "train")
    _refuse_test_speakers(listing, trainset)
    _hold_out(listing, valid_speakers)
    if testset is None:
        listing.warnings.append("there is no test set (noisy_testset_wav)")
    return listing


def _training_folder(root: Path, speakers: int | None) -> Path | None:
    folders = sorted(folder for folder in root.glob("noisy_trainset*") if folder.is_dir())
    if speakers is not None:
        chosen = [folder for folder in folders if _speakers_named(folder) == speakers]
        if not chosen:
            raise UserError(f"{root} holds no folder such as noisy_trainset_{speakers}spk_wav.")
        folders = chosen
    if len(folders) > 1:
        names = " and ".join(folder.name for folder in folders)
        raise UserError(
            f"{root} holds {names}; papers train on one of them: say --layout voicebank-demand-28 or "
            "voicebank-demand-56, or leave one folder there."
        )
    return folders[0] if folders else None


def _speakers_named(folder: Path) -> int:
    return 56 if "56spk" in folder.name else 28  # the first release was called noisy_trainset_wav


def _folder(root: Path, pattern: str) -> Path | None:
    folders = sorted(folder for folder in root.glob(pattern) if folder.is_dir())
    if len(folders) > 1:
        names = " and ".join(folder.name for folder in folders)
        raise UserError(f"{root} holds {names}; leave one test set there.")
    return folders[0] if folders else None


def _add_set(listing: Listing, noisy: Path, split: str) -> None:
    clean = noisy.with_name(noisy.name.replace("noisy_", "clean_", 1))
    if not clean.is_dir():
        raise UserError(f"{noisy} has no partner {clean}; both folders are needed.")
    listing.roots |= {noisy.name: noisy.absolute(), clean.name: clean.absolute()}
    both = (noisy.name, noisy, list(audio_files(noisy))), (clean.name, clean, list(audio_files(clean)))
    for name, noisy_file, clean_file in match_pairs(listing, *both):
        pair = f"{noisy.name}/{name}"
        listing.add_pair(noisy.name, noisy_file, clean.name, clean_file, split, _speaker(noisy_file), pair)
    key = "voicebank-test" if split == "test" else f"voicebank-train-{_speakers_named(noisy)}"
    listing.parts.append(Part(key, frozenset((noisy.name, clean.name)), "noisy"))


def _speaker(file: Path) -> str:
    return file.stem.split("_")[0]


def _refuse_test_speakers(listing: Listing, trainset: Path | None) -> None:
    tested = {*TEST_SPEAKERS, *(source.group for source in listing.sources if source.split == "test")}
    shared = [source for source in listing.sources if source.split == "train" and source.group in tested]
    if shared:
        names = ", ".join(sorted({source.group for source in shared}))
        files = [source.path for source in shared if source.kind == "noisy"]
        raise UserError(
            f"{trainset} holds the test speakers {names} ({len(files)} files, for example {files[0]}): a "
            "network trained on them cannot be tested; take their files out of the training folders."
        )


def _hold_out(listing: Listing, wanted: Sequence[str] | None) -> None:
    """Move the validation speakers out of the training set, or leave a tenth of its speakers to a hash."""
    training = {source.group for source in listing.sources if source.split == "train"}
    if not training:
        return
    held_out = set(VALID_SPEAKERS if wanted is None else wanted) & training
    absent = sorted(set(wanted or ()) - training)
    if absent:
        raise UserError(
            f"valid_speakers: {', '.join(absent)} not in the training set, which has "
            f"{', '.join(sorted(training)[:5])}, ...; name speakers of it."
        )
    if held_out == training:
        raise UserError("valid_speakers names every training speaker; leave some to train on.")
    if not held_out:
        listing.notes.append(
            f"Validation: a tenth of the speakers, by a hash ({' and '.join(VALID_SPEAKERS)}, customary with "
            "28 speakers, are not among these; say --valid-speakers for others)"
        )
        listing.shares["noisy"] = VALID_ONLY
    else:
        listing.notes.append(f"Validation: speakers {', '.join(sorted(held_out))}, out of the training set")
    listing.sources = [
        replace(source, split=("valid" if source.group in held_out else "train") if held_out else "")
        if source.split == "train"
        else source
        for source in listing.sources
    ]

"""TIMIT and NOISEX-92 as KDRL uses them (2023, section IV-A): which sentences and which noises of both."""

import re
from collections.abc import Iterator
from pathlib import Path

from sedistill.audio.listing import Unread
from sedistill.common.errors import UserError
from sedistill.data.expected_counts import PUBLISHED, Part
from sedistill.data.layouts.layout_listing import Listing, Source, audio_files

# The first sentences of a subset in the order of their names. The paper names none to validate with: those
# that follow the training sentences do.
SENTENCES = {"train": 250, "valid": 25, "test": 25}
TRAINING_NOISES = ("babble", "destroyerops", "f16", "pink", "volvo")
TEST_NOISES = (
    "leopard", "white", "machinegun", "hfchannel", "destroyerengine", "factory1", "factory2", "buccaneer1",
    "buccaneer2",
)  # fmt: skip
UNUSED_NOISES = ("m109",)
SIMILAR = "test_similar"
"""The split of what is kept of the training noises for the test with similar noise."""
# Whether train and similar-noise test shared segments of noise is not said; here no sample is in two splits.
NOISE_SHARES = {"valid": 0.1, SIMILAR: 0.1}

_ALL_NOISES = (*TRAINING_NOISES, *TEST_NOISES, *UNUSED_NOISES)
_ENOUGH_NOISES = 5  # files of such names make a folder that of NOISEX-92
_OTHER_WORDS = re.compile(r"^noisex(?:92)?|cockpit|floor|room|noise|radio|speech|(?:8|16|20|1998)k(?:hz)?$")
_OTHER_NAMES = {"destroyeroperations": "destroyerops", "volvo340": "volvo"}


def list_timit_noisex92(speech: Path, noise: Path) -> Listing:
    """250 training sentences with 5 noises, 25 to validate with the same, 25 test sentences with 9 others.

    The five training noises are cut in time: four fifths train, a tenth validates, and the last tenth is the
    split `test_similar`, noise without speech: the paper mixes it with the test sentences.

    Args:
        speech, noise: the folders of both corpora, or folders that hold these one or two levels below.

    Raises UserError: neither is found, or training and test subset share speakers.
    """
    timit, noisex = _find_timit(speech), _find_noisex(noise)
    listing = Listing("timit-noisex92", {"clean": timit.absolute(), "noise": noisex.absolute()})
    training = _sentences(listing, timit, "train")
    testing = _sentences(listing, timit, "test")
    _refuse_shared_speakers(timit, training, testing)
    _add_sentences(listing, training, ("train", "valid"))
    _add_sentences(listing, testing, ("test",))
    _add_noises(listing, noisex)
    listing.in_time, listing.shares = frozenset({"noise"}), {"noise": NOISE_SHARES}
    listing.noise_only = frozenset({SIMILAR})
    listing.notes.append(
        f"KDRL's choice: the first {SENTENCES['train']} training and {SENTENCES['test']} test sentences in "
        f"the order of their names; the next {SENTENCES['valid']} training sentences validate, others are "
        "not read"
    )
    return listing


def is_timit(folder: Path) -> bool:
    """Whether TRAIN and TEST with their dialect regions DR1 ... lie in it, in either case of letters."""
    return all(
        (subset := _child(folder, name)) is not None and _child(subset, "dr1") is not None
        for name in ("train", "test")
    )


def is_noisex(folder: Path) -> bool:
    """Whether it holds files named as the noises of NOISEX-92."""
    names = (_noise_name(path) for path in folder.iterdir() if path.is_file())
    return len({name for name in names if name in _ALL_NOISES}) >= _ENOUGH_NOISES


def find_both(root: Path) -> bool:
    """Whether both corpora lie in or below `root`."""
    return any(map(is_timit, _folders(root))) and any(map(is_noisex, _folders(root)))


def _find_timit(folder: Path) -> Path:
    found = next(filter(is_timit, _folders(folder)), None)
    if found is None:
        raise UserError(f"{folder} does not hold TIMIT: folders TRAIN and TEST with DR1 to DR8 in them.")
    return found


def _find_noisex(folder: Path) -> Path:
    found = next(filter(is_noisex, _folders(folder)), None)
    if found is None:
        raise UserError(
            f"{folder} does not hold NOISEX-92: audio files named {', '.join(_ALL_NOISES[:3])}, ..."
        )
    return found


def _folders(root: Path) -> Iterator[Path]:
    """`root`, the folders in it, and the folders in those."""
    yield root
    level = [root]
    for _ in range(2):
        level = [path for folder in level for path in sorted(folder.iterdir()) if path.is_dir()]
        yield from level


def _child(folder: Path, name: str) -> Path | None:
    return next((path for path in sorted(folder.iterdir()) if path.name.lower() == name), None)


def _sentences(listing: Listing, timit: Path, subset: str) -> dict[tuple[str, ...], Path]:
    """{(DR1, FCJF0, SA1): file relative to `timit`} in the order of the keys, which is that of the disc."""
    folder = _child(timit, subset)
    assert folder is not None
    found: dict[tuple[str, ...], Path] = {}
    doubled = []
    for file in audio_files(folder):
        key = (*(part.upper() for part in file.parts[:-1]), file.name.split(".")[0].upper())
        if key in found:
            doubled.append(file)
        # Of SA1.WAV and SA1.WAV.wav, the later one was made to be read by more programs.
        found[key] = folder.relative_to(timit) / file
    if doubled:
        listing.notes.append(
            f"TIMIT {subset}: {len(doubled)} sentences are there twice, for example {doubled[0].name}; "
            "the file of the longer name is read"
        )
    if len(found) != PUBLISHED[f"timit-{subset}"].files:
        listing.warnings.append(
            f"TIMIT's {subset} subset is not whole, so its first sentences may be others than KDRL's"
        )
    speakers = {key[-2] for key in found if len(key) > 1}
    part = Part(f"timit-{subset}", frozenset(), "clean", listed=len(found), speakers=len(speakers))
    listing.parts.append(part)
    listing.parts.append(Part(f"kdrl-{subset}", frozenset({"clean"}), "clean", below=folder.name))
    return dict(sorted(found.items()))


def _refuse_shared_speakers(
    timit: Path, training: dict[tuple[str, ...], Path], testing: dict[tuple[str, ...], Path]
) -> None:
    tested = {key[-2] for key in testing if len(key) > 1}
    shared = {key[-2]: file for key, file in training.items() if len(key) > 1 and key[-2] in tested}
    if shared:
        names = ", ".join(sorted(shared)[:5]) + (", ..." if len(shared) > 5 else "")
        raise UserError(
            f"{timit} holds the test speakers {names} in its training folder (for example "
            f"{next(iter(shared.values()))}): a network trained on them cannot be tested; take them out."
        )


def _add_sentences(listing: Listing, sentences: dict[tuple[str, ...], Path], splits: tuple[str, ...]) -> None:
    files = iter(sentences.items())
    for split in splits:
        for _, (key, file) in zip(range(SENTENCES[split]), files, strict=False):
            speaker = key[-2] if len(key) > 1 else key[-1]
            listing.sources.append(Source("clean", file.as_posix(), "clean", split, speaker))


def _add_noises(listing: Listing, noisex: Path) -> None:
    """Noises by their canonical names, which are their classes; an unknown or second file is left out."""
    found: dict[str, Path] = {}
    for file in audio_files(noisex):
        name = _noise_name(file)
        if name not in _ALL_NOISES:
            why = "unknown name", "none of the 15 noises of NOISEX-92 by its name"
        elif name in found:
            why = "name twice", f"another file of the same name: {found[name]}"
        elif name in UNUSED_NOISES:
            found[name], why = file, ("not used", "KDRL does not use it")
        else:
            found[name] = file
            split = "test" if name in TEST_NOISES else ""
            listing.sources.append(Source("noise", file.as_posix(), "noise", split, name))
            continue
        listing.left_out.append(Unread(noisex / file, *why))
    missing = [
        f"{name} (there is {name}.mat, which is not read)" if (noisex / f"{name}.mat").exists() else name
        for name in _ALL_NOISES
        if name not in found
    ]
    part = Part("noisex92", frozenset({"noise"}), "noise", listed=len(found), missing=missing)
    listing.parts.append(part)


def _noise_name(file: Path) -> str:
    """ "factory1" of "Factory_Floor_1_16kHz.wav"; what is none of the noises comes back as it is."""
    plain = re.sub(r"[^a-z0-9]", "", file.stem.lower())
    name = plain if plain in _ALL_NOISES else _OTHER_WORDS.sub("", plain)
    return _OTHER_NAMES.get(name, name)

"""The embedded default: a small corpus made on the spot, so that everything can be tried without recordings.

Speech from espeak-ng in ten languages and noises made by code. It sounds like what it is, and what is
learned on it says little about people in rooms; it is there to see the whole program work.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import yaml

from sedistill.audio.files import write
from sedistill.audio.levels import db_to_gain
from sedistill.audio.resampling import resample
from sedistill.common.progress import ProgressBar
from sedistill.common.writing import atomic_folder
from sedistill.workflows.demo.noises import levelled, noise
from sedistill.workflows.demo.speech import SAMPLE_RATE as SPEECH_RATE
from sedistill.workflows.demo.speech import Utterance, require_espeak, speak

SAMPLE_RATE = 16_000
TRAINING_SENTENCES = 7  # of each language; the rest are heard in valid and test only
NOISE_SECONDS = 8.0
BABBLE_VOICES = 12

# Language and accent + variant (the timbre). No variant is heard in two splits. All are voices that an
# enhancer trained on people takes for speech: of clean sentences fastenhancer-b leaves a STOI of 0.92 to 1.0.
VOICES = {
    "train": """
        en-us+m6 en+f1 en-gb-scotland+miguel en-us+belinda en-us+michel de+m2 de+klatt6 de+Hugo fr+f2 fr+linda
        fr+fast es+f4 es-419+aunty es+adam it+Henrique it+steph2 it+klatt4 pt-br+benjamin pt+Alicia nl+edward2
        nl+klatt3 nl+Diogo sv+announcer sv+croak pl+Gene pl+Marco fi+grandpa fi+f5
    """,
    "valid": "en-us+m8 en+Annie de+Mike fr+sandro es+caleb nl+Jacky pl+david",
    "test": """
        en+klatt5 en-us+steph3 de+f3 de+edward fr+steph es-419+Reed it+shelby pt-br+mike2 sv+m5 fi+anika
    """,
}

# How many recordings of each class; some classes are heard in test only.
NOISES = {
    "train": {
        "white": 2, "pink": 3, "brown": 2, "hum": 3, "fan": 4,
        "wind": 4, "engine": 4, "keyboard": 4, "babble": 6,
    },
    "valid": {"pink": 1, "fan": 1, "wind": 1, "engine": 1, "keyboard": 1, "babble": 2},
    "test": {"pink": 1, "fan": 1, "engine": 1, "babble": 2, "rain": 2, "siren": 2, "birds": 2, "hammer": 2},
}  # fmt: skip


@dataclass(frozen=True)
class DemoCorpus:
    """What was made: minutes of speech and of noise, voices and kinds of noise over all splits."""

    folder: Path
    speech_minutes: float
    noise_minutes: float
    voices: int
    noise_classes: int


def make_demo_corpus(folder: Path | str, seed: int = 0) -> DemoCorpus:
    """Write clean/SPLIT/VOICE/NNN.flac and noise/SPLIT/CLASS/NNN.flac: 16 kHz, mono, 16 bit, three splits.

    The same seed gives the same corpus. Raises UserError when the synthesizer (the pip package
    espeakng-loader) is missing or when something is at `folder` already.
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    require_espeak()
    with atomic_folder(folder) as place, ProgressBar("Making speech and noise", None, "files") as bar:
        speech = _speech(rng, seed)
        noises = _noises(rng, speech)
        clips = [clip for split in speech.values() for clip in split]
        for path, samples in clips + noises:
            write(place / path, samples, SAMPLE_RATE, subtype="PCM_16")
            bar.advance()
    return DemoCorpus(
        folder,
        speech_minutes=_minutes(clips),
        noise_minutes=_minutes(noises),
        voices=sum(len(voices.split()) for voices in VOICES.values()),
        noise_classes=len({kind for kinds in NOISES.values() for kind in kinds}),
    )


NamedClips = list[tuple[Path, np.ndarray]]


def _speech(rng: np.random.Generator, seed: int) -> dict[str, NamedClips]:
    """Every voice of a split says every sentence of its language that belongs to the split."""
    sentences = yaml.safe_load(
        files("sedistill.workflows.demo").joinpath("sentences.yaml").read_text("utf-8")
    )
    said = [
        (split, voice, number, utterance)
        for split, voices in VOICES.items()
        for voice in voices.split()
        for number, utterance in enumerate(_utterances(voice, split, sentences, rng))
    ]
    waveforms = speak([utterance for *_, utterance in said], seed)
    clips: dict[str, NamedClips] = {split: [] for split in VOICES}
    for (split, voice, number, _), spoken in zip(said, waveforms, strict=True):
        at_rate = resample(spoken / np.float32(2**15), SPEECH_RATE, SAMPLE_RATE)
        rms = db_to_gain(rng.uniform(-29, -23))
        path = Path("clean", split, voice.replace("+", "_"), f"{number:03d}.flac")
        clips[split].append((path, levelled(at_rate, rms)))
    return clips


def _utterances(
    voice: str, split: str, sentences: dict[str, list[str]], rng: np.random.Generator
) -> list[Utterance]:
    of_language = sentences[voice[:2]]
    texts = of_language[:TRAINING_SENTENCES] if split == "train" else of_language[TRAINING_SENTENCES:]
    pitch, words_per_minute = int(rng.integers(25, 75)), int(rng.integers(130, 190))
    return [Utterance(text, voice, words_per_minute, pitch) for text in texts]


def _noises(rng: np.random.Generator, speech: dict[str, NamedClips]) -> NamedClips:
    """The noises of all splits. Numbers go on from split to split: no two recordings share a name."""
    samples = int(NOISE_SECONDS * SAMPLE_RATE)
    numbers: Counter[str] = Counter()
    noises = []
    for split, kinds in NOISES.items():
        talk = [clip for _, clip in speech[split]]
        for kind in (kind for kind, count in kinds.items() for _ in range(count)):
            path = Path("noise", split, kind, f"{numbers[kind]:03d}.flac")
            noises.append((path, _noise(kind, rng, samples, talk)))
            numbers[kind] += 1
    return noises


def _noise(kind: str, rng: np.random.Generator, samples: int, speech: Sequence[np.ndarray]) -> np.ndarray:
    if kind == "babble":
        return _babble(rng, samples, speech)
    return noise(kind, rng, samples, SAMPLE_RATE)


def _babble(rng: np.random.Generator, samples: int, speech: Sequence[np.ndarray]) -> np.ndarray:
    """Several voices at once, each talking without a pause, some nearer than others."""
    together = np.zeros(samples)
    for _ in range(BABBLE_VOICES):
        order = rng.permutation(len(speech))
        talk = np.concatenate([speech[index] for index in order[: 2 + samples // SAMPLE_RATE]])
        together += rng.uniform(0.5, 1.0) * np.resize(talk, samples)
    return levelled(together)


def _minutes(clips: NamedClips) -> float:
    return sum(len(samples) for _, samples in clips) / SAMPLE_RATE / 60

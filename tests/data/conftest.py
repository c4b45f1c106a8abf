"""Prepared corpora that tests read and do not change."""

from pathlib import Path

import pytest

from sedistill.data.preparation import prepare

from .sounds import pairs, speech_and_noise


@pytest.fixture(scope="session")
def mixed_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers and four noise classes, split by a hash."""
    folder = tmp_path_factory.mktemp("mixed")
    clean, noise = speech_and_noise(folder / "sounds")
    prepare(folder / "corpus", clean=clean, noise=noise, workers=1)
    return folder / "corpus"


@pytest.fixture(scope="session")
def pairs_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve ready pairs of different lengths."""
    folder = tmp_path_factory.mktemp("pairs")
    clean, noisy = pairs(folder / "sounds", count=12)
    prepare(folder / "corpus", clean=clean, noisy=noisy, workers=1)
    return folder / "corpus"

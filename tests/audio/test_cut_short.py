"""Files that hold less than their header tells of, in every format that says how much there should be."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sedistill.audio.files import AudioFileError, probe, read
from sedistill.common.errors import UserError
from sedistill.data.preparation import prepare
from sedistill.inference.enhancing.file_jobs import enhance_files
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model

RATE = 16_000
FORMATS = {
    "a.wav": ("WAV", "PCM_16"), "x.wav": ("WAVEX", "PCM_24"), "ima.wav": ("WAV", "IMA_ADPCM"),
    "a.w64": ("W64", "PCM_16"), "f.w64": ("W64", "FLOAT"), "a.rf64": ("RF64", "PCM_16"),
    "a.aiff": ("AIFF", "PCM_16"), "a.au": ("AU", "PCM_16"), "a.voc": ("VOC", "PCM_16"),
    "a.sph": ("NIST", "PCM_16"), "a.caf": ("CAF", "PCM_16"), "alac.caf": ("CAF", "ALAC_16"),
    "a.flac": ("FLAC", "PCM_16"), "a.ogg": ("OGG", "VORBIS"), "a.opus": ("OGG", "OPUS"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
}  # fmt: skip


def write(path: Path, channels: int = 1) -> Path:
    time = np.arange(2 * RATE) / RATE
    sound = 0.2 * np.sin(700 * time) * (1 + np.sin(15 * time))
    container, subtype = FORMATS[path.name]
    sf.write(path, np.stack([sound] * channels, axis=1), RATE, format=container, subtype=subtype)
    return path


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_cut_is_told_by_name_and_what_is_whole_is_read(
    tmp_path: Path, name: str, channels: int
) -> None:
    if (name, channels) == ("a.voc", 2):
        pytest.skip("libsndfile 1.2 writes no VOC of two channels that it reads")
    path = write(tmp_path / name, channels)
    assert probe(path).frames == len(read(path)[0]) >= 2 * RATE
    content = path.read_bytes()
    for share in (0.99, 0.7, 0.3):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(AudioFileError, match=f"{name} (is damaged or cut short|is not audio)"):
            read(path)


def test_a_flac_that_does_not_tell_its_length_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac")
    content = bytearray(path.read_bytes())
    total = int.from_bytes(content[18:26], "big") & ~((1 << 36) - 1)
    content[18:26] = total.to_bytes(8, "big")
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=r"does not say how long it is.*encode it once more"):
        probe(path)


@pytest.mark.parametrize("name", ["a.w64", "a.rf64", "a.ogg", "a.opus", "a.mp3"])
def test_prepare_leaves_it_out_by_name_and_enhance_refuses_it(tmp_path: Path, name: str) -> None:
    place = tmp_path / "noisy" / name
    place.parent.mkdir()
    whole = write(place)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) * 3 // 4])
    (tmp_path / "clean").mkdir()
    sf.write(tmp_path / "clean/a.wav", np.zeros(RATE), RATE)
    with pytest.raises(UserError, match=rf"no usable noisy/clean pair.*{name}: it (is damaged|is not audio)"):
        prepare(tmp_path / "c", clean=tmp_path / "clean", noisy=tmp_path / "noisy", workers=1)
    network = {
        "class": "ConvTasNet", "filters": 8, "filter_length": 32, "bottleneck": 4, "hidden": 6, "skip": 0,
        "blocks": 2, "repeats": 1, "deep_layers": 0,
    }  # fmt: skip
    save_model(build_model(network), tmp_path / "model")
    with pytest.raises(UserError, match=rf"{name} (is damaged or cut short|is not audio)"):
        enhance_files(tmp_path / "model", [whole], tmp_path / "out.wav")

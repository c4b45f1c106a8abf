"""A saved model at work: what goes in comes out at the same rate, length, level, format and place in time."""

import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sedistill.audio.files import probe, read
from sedistill.common.errors import UserError
from sedistill.inference.enhancing import arrays, enhance, enhance_files
from sedistill.inference.enhancing import file_jobs as files
from sedistill.inference.enhancing.chunks import in_chunks, of_length
from sedistill.models.presets import build_model
from sedistill.models.saving import save_model

RATE = 16_000


class Unchanged(nn.Module):
    """A network that gives its input back and notes the lengths it saw."""

    sample_rate = RATE

    def __init__(self, output_gain: float = 1.0) -> None:
        super().__init__()
        self.output_gain = output_gain
        self.lengths: list[int] = []

    def forward(self, noisy: Tensor) -> Tensor:
        self.lengths.append(noisy.shape[1])
        return noisy


class ShortMemory(Unchanged):
    """Every sample together with those 200 ms before and after it."""

    def forward(self, noisy: Tensor) -> Tensor:
        super().forward(noisy)
        around = nn.functional.pad(noisy, (3200, 3200))
        return 0.5 * noisy - 0.3 * around[:, :-6400] + 0.2 * around[:, 6400:]


def music(samples: int, channels: int = 1, sample_rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Sound below 3 kHz, so that it survives every rate used here; (samples, channels), different in each."""
    random = np.random.default_rng(seed)
    time = np.arange(samples)[:, None] / sample_rate
    tones = random.uniform(100, 3000, size=(8, channels))
    phases = random.uniform(0, 6, size=(8, channels))
    return (0.06 * np.sin(2 * np.pi * tones[:, None] * time + phases[:, None]).sum(axis=0)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "student"
    save_model(build_model("convtasnet-tiny"), folder, {"output_gain": -0.5})
    return folder


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> Unchanged:
    """In place of every saved model: a network that changes nothing, so files can be compared."""
    network = Unchanged()
    monkeypatch.setattr(files, "load_model", lambda *_: network)
    return network


# --- arrays ---


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (1, 0), (2, 1), (2, 3), (5000,), (3, 5000)])
def test_shape_kind_and_type_come_back(sample_rate: int, shape: tuple[int, ...]) -> None:
    for given_type in (np.float32, np.float64):
        enhanced = enhance(Unchanged(), np.full(shape, 0.1, given_type), sample_rate)
        assert isinstance(enhanced, np.ndarray)
        assert (enhanced.shape, enhanced.dtype) == (shape, given_type)
    waveform = torch.full(shape, 0.1, dtype=torch.float64)
    from_torch = enhance(Unchanged(), waveform, sample_rate)
    assert (from_torch.shape, from_torch.dtype) == (waveform.shape, torch.float64)


@pytest.mark.parametrize("samples", [1, 3, 1000, 40_000])
def test_a_real_network_takes_any_length(model: Path, samples: int) -> None:
    enhanced = enhance(model, music(samples)[:, 0], RATE)
    assert enhanced.shape == (samples,)
    assert np.isfinite(enhanced).all()


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_nothing_is_shifted_or_scaled_at_any_rate(sample_rate: int) -> None:
    waveform = music(23 * sample_rate, 2, sample_rate)  # three chunks
    enhanced = enhance(Unchanged(), waveform.T, sample_rate).T
    inside = slice(sample_rate // 10, -sample_rate // 10)  # a resampler rings where a sound starts at once
    np.testing.assert_allclose(enhanced[inside], waveform[inside], atol=1e-4)
    lag = best_lag(waveform[:, 0], enhanced[:, 0])
    assert lag == 0


def best_lag(a: np.ndarray, b: np.ndarray, furthest: int = 200) -> int:
    """The shift of b against a, in samples, where their correlation is largest."""
    middle = slice(furthest, len(a) - furthest)
    lags = range(-furthest, furthest + 1)
    products = [float(a[middle] @ b[furthest + lag : len(b) - furthest + lag]) for lag in lags]
    return lags[int(np.argmax(products))]


def test_the_lag_measured_above_would_be_seen() -> None:
    sound = music(RATE)[:, 0]
    assert best_lag(sound, np.roll(sound, 3)) == 3


@pytest.mark.parametrize("samples", [160_001, 304_000, 304_001, 450_000, 500_000])
def test_chunks_sound_like_the_whole(samples: int) -> None:
    network = ShortMemory()
    waveform = music(samples)[:, 0]
    whole = enhance(network, waveform, RATE, chunk_seconds=None)
    assert network.lengths == [samples]
    np.testing.assert_allclose(enhance(network, waveform, RATE), whole, atol=2e-6)


def test_no_chunk_is_longer_than_ten_seconds_nor_short_at_the_end() -> None:
    network = Unchanged()
    enhance(network, np.zeros(47 * RATE, np.float32), RATE)
    assert set(network.lengths) == {10 * RATE}
    short = Unchanged()
    enhance(short, np.zeros(4 * RATE, np.float32), RATE)
    assert short.lengths == [4 * RATE]


def test_a_level_that_differs_between_chunks_never_jumps() -> None:
    class Normalizes(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            return noisy / noisy.square().mean().sqrt()

    waveform = np.linspace(0.1, 1.0, 40 * RATE, dtype=np.float32)  # slow: any step is of the chunks' making
    steps = np.abs(np.diff(enhance(Normalizes(), waveform, RATE)))
    assert steps.max() < 2e-4  # a plain join would step by 0.2


@given(
    frames=st.integers(0, 300),
    block=st.integers(1, 90),
    chunk=st.integers(2, 60),
    overlap_share=st.floats(0, 0.5),
)
def test_chunks_of_any_size_give_back_what_is_not_changed(
    frames: int, block: int, chunk: int, overlap_share: float
) -> None:
    overlap = int(overlap_share * chunk)
    signal = np.random.default_rng(frames).standard_normal((frames, 2)).astype(np.float32)
    blocks = (signal[start : start + block] for start in range(0, frames, block))
    joined = list(in_chunks(blocks, lambda piece: piece, chunk, overlap))
    np.testing.assert_array_equal(np.concatenate([signal[:0], *joined]), signal)


@given(lengths=st.lists(st.integers(0, 20), max_size=6), frames=st.integers(0, 60))
def test_streams_get_the_length_asked_for(lengths: list[int], frames: int) -> None:
    blocks = [np.ones((length, 2), np.float32) for length in lengths]
    result = np.concatenate([np.zeros((0, 2)), *of_length(blocks, 2, frames)])
    assert result.shape == (frames, 2)
    assert result.sum() == 2 * min(frames, sum(lengths))


def test_channels_are_enhanced_one_by_one(model: Path) -> None:
    stereo = music(12 * RATE, 2).T
    both = enhance(model, stereo, RATE)
    for channel in (0, 1):
        np.testing.assert_array_equal(both[channel], enhance(model, stereo[channel], RATE))


def test_level_correction_is_the_models_factor_and_can_be_left_out() -> None:
    waveform = music(5000)[:, 0]
    np.testing.assert_array_equal(enhance(Unchanged(-0.5), waveform, RATE), np.float32(-0.5) * waveform)
    np.testing.assert_array_equal(enhance(Unchanged(-0.5), waveform, RATE, correct_level=False), waveform)


def test_the_given_network_and_waveform_are_left_as_they_were() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    network.sample_rate = RATE  # type: ignore[assignment]
    network.train()
    network[1].eval()
    waveform = torch.from_numpy(music(2000).T.copy()).requires_grad_()
    before = waveform.detach().clone()
    enhanced = enhance(network, waveform, RATE)
    assert torch.equal(enhanced, before)  # dropout was off
    assert torch.equal(waveform.detach(), before)
    assert [module.training for module in network] == [True, False]
    assert not enhanced.requires_grad


def test_arrays_that_cannot_be_enhanced() -> None:
    bad = np.zeros((2, 100), np.float32)
    bad[1, 40] = np.nan
    with pytest.raises(UserError, match="sample 40 of channel 2 is nan"):
        enhance(Unchanged(), bad, RATE)
    with pytest.raises(TypeError, match=r"full scale 1\.0, not int16"):
        enhance(Unchanged(), np.zeros(10, np.int16), RATE)
    with pytest.raises(TypeError, match="int64"):
        enhance(Unchanged(), torch.zeros(10, dtype=torch.int64), RATE)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 3\)"):
        enhance(Unchanged(), np.zeros((1, 2, 3), np.float32), RATE)
    with pytest.raises(UserError, match="sample_rate = 0"):
        enhance(Unchanged(), np.zeros(10, np.float32), 0)
    for rate in (float("nan"), float("inf"), "16000", None, True, 1, 99, 10**8):
        with pytest.raises(UserError, match=f"sample_rate = {rate}: give the recording's rate"):
            enhance(Unchanged(), np.zeros(10, np.float32), rate)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an array or a tensor, not a list"):
        enhance(Unchanged(), [0.0, 0.1], RATE)  # type: ignore[type-var]


@pytest.mark.parametrize("shape", [(4000, 2), (4000, 1), (65, 10_000), (12, 5)])
def test_samples_first_is_refused_with_the_way_to_turn_them(shape: tuple[int, int]) -> None:
    for waveform in (np.zeros(shape, np.float32), torch.zeros(shape)):
        with pytest.raises(ValueError, match=rf"{shape[0]} channels of {shape[1]} samples.*waveform\.T"):
            enhance(Unchanged(), waveform, RATE)
    assert enhance(Unchanged(), np.zeros((64, 100), np.float32), RATE).shape == (64, 100)


class Powers(Unchanged):
    """Overflows on loud input, as every network does."""

    def forward(self, noisy: Tensor) -> Tensor:
        return noisy**2 - noisy**2 * 1.0


@pytest.mark.parametrize("sample_rate", [RATE, 44_100])
@pytest.mark.parametrize("peak", [3e38, -3e38, 1e300])
def test_samples_that_are_too_large_are_not_the_networks_fault(sample_rate: int, peak: float) -> None:
    loud = music(4000)[:, 0].astype(np.float64 if abs(peak) > 1e38 else np.float32)
    loud[100] = peak
    with pytest.raises(UserError, match=r"the waveform: its samples reach .*, where full scale is 1; scale"):
        enhance(Powers(), loud if abs(peak) > 1e39 else loud.astype(np.float32), sample_rate)


def test_what_gave_nan_is_named() -> None:
    class Weighted(Unchanged):
        def __init__(self, weight: float) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(weight))

        def forward(self, noisy: Tensor) -> Tensor:
            return self.weight * noisy / 0.0

    with pytest.raises(UserError, match="some of its weights are NaN or infinite"):
        enhance(Weighted(np.nan), music(100)[:, 0], RATE)
    with pytest.raises(UserError, match="the model gave NaN for the waveform, though its weights are finite"):
        enhance(Weighted(1.0), music(100)[:, 0], RATE)


def test_a_file_that_is_too_loud_is_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "load_model", lambda *_: Powers())
    for name, gain in (("a.wav", 1.0), ("b.wav", 1e38)):
        soundfile.write(tmp_path / name, gain * music(2000) / 0.5, RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=r"1 of 2 files could not be enhanced.*b\.wav: its samples reach"):
        enhance_files("model", [tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


def test_threads_share_a_network_and_leave_its_modes() -> None:
    class Slow(Unchanged):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.inner = nn.Dropout(0.5)
            self.seconds = seconds

        def forward(self, noisy: Tensor) -> Tensor:
            time.sleep(self.seconds * float(noisy[0, 0]))
            return self.inner(noisy)

    network = Slow(0.01)
    network.train()
    network.inner.train()
    waveforms = [np.full(100, 0.1 * (1 + i % 7), np.float32) for i in range(60)]
    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda one: enhance(network, one, RATE), waveforms))
    for waveform, result in zip(waveforms, results, strict=True):
        np.testing.assert_array_equal(result, waveform)  # dropout was off throughout
    assert network.training
    assert network.inner.training


def test_modes_come_back_after_an_error_and_half_a_stream() -> None:
    class Broken(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            raise RuntimeError("broken")

    network = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        enhance(network, music(100)[:, 0], RATE)
    assert network.training


def test_a_network_in_half_or_double_precision_is_fed_in_its_own() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        network = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 1, 1), nn.Flatten()).to(dtype)
        network.sample_rate = RATE  # type: ignore[assignment]
        assert enhance(network, music(500)[:, 0], RATE).dtype == np.float32
        assert next(network.parameters()).dtype == dtype


# --- files ---

CODINGS = [
    ("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT"), ("a.WAV", "PCM_U8"), ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"), ("a.aiff", "PCM_16"), ("a.ogg", "VORBIS"), ("a.mp3", "MPEG_LAYER_III"),
    ("a.au", "ULAW"),
]  # fmt: skip
LOSSLESS = ("PCM_16", "PCM_24", "FLOAT")


@pytest.mark.parametrize(("name", "subtype"), CODINGS)
@pytest.mark.parametrize(("sample_rate", "channels"), [(16_000, 1), (44_100, 2), (8000, 1)])
def test_files_keep_rate_channels_length_and_coding(
    name: str, subtype: str, sample_rate: int, channels: int, tmp_path: Path, unchanged: Unchanged
) -> None:
    source, target = tmp_path / name, tmp_path / "out" / name
    sound = music(12_345, channels, sample_rate)
    soundfile.write(source, sound, sample_rate, subtype=subtype)
    assert enhance_files("model", [source], target) == [target]
    before, after = probe(source), probe(target)
    for fact in ("sample_rate", "channels", "frames", "format", "subtype"):
        assert getattr(after, fact) == getattr(before, fact), fact
    assert np.corrcoef(read(target)[0][:, 0], read(source)[0][:, 0])[0, 1] > 0.95
    if subtype in LOSSLESS and sample_rate == RATE:
        np.testing.assert_array_equal(read(target)[0], read(source)[0])
    elif subtype in LOSSLESS:
        np.testing.assert_allclose(read(target)[0][1000:-1000], sound[1000:-1000], atol=2e-4)


@pytest.mark.parametrize("frames", [0, 1, 3])
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_the_shortest_files(frames: int, sample_rate: int, tmp_path: Path, model: Path) -> None:
    soundfile.write(tmp_path / "tiny.wav", np.full((frames, 2), 0.1), sample_rate)
    enhance_files(model, [tmp_path / "tiny.wav"], tmp_path / "out.wav")
    assert (probe(tmp_path / "out.wav").frames, probe(tmp_path / "out.wav").channels) == (frames, 2)


def test_files_sound_as_arrays_do(tmp_path: Path, model: Path) -> None:
    sound = music(11 * RATE, 2)
    soundfile.write(tmp_path / "in.wav", sound, RATE, subtype="FLOAT")
    enhance_files(model, [tmp_path / "in.wav"], tmp_path / "out.wav")
    np.testing.assert_array_equal(read(tmp_path / "out.wav")[0], enhance(model, sound.T, RATE).T)


def test_folders_keep_their_structure(tmp_path: Path, unchanged: Unchanged) -> None:
    for name in ("a.wav", "deep/er/b.flac", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (tmp_path / "in" / name).write_text("not sound")
        else:
            soundfile.write(tmp_path / "in" / name, music(100), RATE)
    soundfile.write(tmp_path / "c.wav", music(100), RATE)
    written = enhance_files("model", [tmp_path / "in", tmp_path / "c.wav"], tmp_path / "out")
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in written)
    assert names == ["a.wav", "c.wav", "deep/er/b.flac"]
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(written)


def test_another_suffix_is_another_format(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.wav", music(1000), RATE, subtype="PCM_24")
    soundfile.write(tmp_path / "in.ogg", music(1000), RATE)
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.flac")
    enhance_files("model", [tmp_path / "in.ogg"], tmp_path / "out.wav")
    flac, wav = probe(tmp_path / "out.flac"), probe(tmp_path / "out.wav")
    assert (flac.format, flac.subtype) == ("FLAC", "PCM_24")
    assert (wav.format, wav.subtype) == ("WAV", "PCM_16")


def test_samples_beyond_full_scale_are_limited_and_counted(
    tmp_path: Path, unchanged: Unchanged, capsys: pytest.CaptureFixture[str]
) -> None:
    unchanged.output_gain = 4.0
    sound = np.array([0.1, 0.5, -0.5, 0.2], np.float32)
    for name, subtype in (("int.wav", "PCM_16"), ("float.wav", "FLOAT")):
        soundfile.write(tmp_path / name, sound, RATE, subtype=subtype)
    enhance_files("model", [tmp_path / "int.wav", tmp_path / "float.wav"], tmp_path / "out")
    printed = capsys.readouterr().out
    assert "int.wav: 2 samples went beyond full scale" in printed
    assert "float.wav" not in printed
    assert "Level correction on: output multiplied by 4" in printed
    limited, kept = (read(tmp_path / "out" / name)[0][:, 0] for name in ("int.wav", "float.wav"))
    np.testing.assert_allclose(limited, [0.4, 1.0, -1.0, 0.8], atol=1e-4)
    np.testing.assert_array_equal(kept, 4 * sound)


def test_what_was_done_is_said(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "in.wav", music(44_100, 1, 44_100), 44_100)
    enhance_files(model, [tmp_path / "in.wav"], tmp_path / "out.wav")
    printed = capsys.readouterr().out
    assert f"1 file, 1.0 s of audio, enhanced by {model}" in printed
    assert "multiplied by -0.5, the factor in the model's card; negative: the network inverts" in printed
    assert "Of files at 44100 Hz nothing above 8000 Hz is kept" in printed
    enhance_files(model, [tmp_path / "in.wav"], tmp_path / "out2.wav", correct_level=False)
    assert "Level correction off: output not multiplied by -0.5" in capsys.readouterr().out
    np.testing.assert_allclose(
        read(tmp_path / "out.wav")[0], -0.5 * read(tmp_path / "out2.wav")[0], atol=1e-4
    )


def write_bad_files(folder: Path) -> None:
    (folder / "text.wav").write_text("this is no sound")
    (folder / "nothing.wav").write_bytes(b"")
    sound = music(3 * RATE)
    soundfile.write(folder / "cut.flac", sound, RATE)
    whole = (folder / "cut.flac").read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    sound[40_000] = np.nan
    soundfile.write(folder / "nan.wav", sound, RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text.wav", "is not audio"),
        ("nothing.wav", "is empty"),
        ("cut.flac", "damaged or cut short"),
        ("nan.wav", "sample 40000 of channel 1 is nan"),
    ],
)
def test_a_broken_file_is_named_with_its_reason(
    name: str, reason: str, tmp_path: Path, unchanged: Unchanged
) -> None:
    write_bad_files(tmp_path)
    with pytest.raises(UserError, match=f"{name}: .*{reason}"):
        enhance_files("model", [tmp_path / name], tmp_path / "out" / name)
    assert not list((tmp_path / "out").glob("*"))


def test_broken_files_among_many_do_not_stop_the_others(
    tmp_path: Path, unchanged: Unchanged, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    write_bad_files(source)
    for name in ("a.wav", "z.wav"):
        soundfile.write(source / name, music(100), RATE)
    with pytest.raises(UserError, match="4 of 6 files could not be enhanced; the first is") as error:
        enhance_files("model", [source], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "z.wav"]
    printed = capsys.readouterr()
    assert printed.err.count("left out: ") == 4
    assert "2 files, 0.0 s of audio" in printed.out


def test_refused_before_anything_is_written(tmp_path: Path, model: Path) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for path in (source / "a.wav", source / "sub" / "b.wav", tmp_path / "a.wav"):
        soundfile.write(path, music(100), RATE)
    before = sorted(tmp_path.rglob("*"))

    def refused(match: str, inputs: list[Path], output: Path, **options: object) -> None:
        with pytest.raises(UserError, match=match):
            enhance_files(model, inputs, output, **options)  # type: ignore[arg-type]

    refused("nothing to enhance", [], tmp_path / "out")
    refused("missing.wav does not exist", [tmp_path / "missing.wav", source], tmp_path / "out")
    refused("holds no audio files", [tmp_path / "empty"], tmp_path / "out")
    refused("is an input; choose another place", [source / "a.wav"], source / "a.wav", overwrite=True)
    refused("is an input; choose another place", [source / "a.wav"], source, overwrite=True)
    refused("lies inside the input", [source], source, overwrite=True)
    refused("lies inside the input", [source], source / "out")
    refused("exists already", [source / "a.wav"], tmp_path / "a.wav")
    refused("would both become", [source / "a.wav", tmp_path / "a.wav"], tmp_path / "out")
    refused("no audio format is called '.xyz'", [source / "a.wav"], tmp_path / "out.xyz")
    refused("device = tpu: choose auto, cpu or cuda", [source], tmp_path / "out", device="tpu")
    with pytest.raises(UserError, match="is not a saved model"):
        enhance_files(tmp_path / "nowhere", [source], tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_outputs_are_replaced_only_when_told(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.wav", music(100), RATE)
    soundfile.write(tmp_path / "out.wav", music(7), RATE)
    with pytest.raises(UserError, match=r"exists already; .* say --overwrite"):
        enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.wav")
    assert probe(tmp_path / "out.wav").frames == 7
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.wav", overwrite=True)
    assert probe(tmp_path / "out.wav").frames == 100


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32"])
def test_telephone_codings_that_cannot_be_sought_are_kept(
    subtype: str, tmp_path: Path, unchanged: Unchanged
) -> None:
    soundfile.write(tmp_path / "in.wav", music(12_345, 1, 8000), 8000, subtype=subtype)
    enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.wav")
    before, after = probe(tmp_path / "in.wav"), probe(tmp_path / "out.wav")
    assert (after.subtype, after.frames) == (subtype, before.frames)


def test_a_format_of_two_files_is_not_written(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.sd2", music(1000), RATE, subtype="PCM_16")
    with pytest.raises(UserError, match=r"'\.sd2'; use \.wav or \.flac"):
        enhance_files("model", [tmp_path / "in.sd2"], tmp_path / "out.sd2")
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.ogg", "out.mp3"])
def test_a_file_that_finds_no_room_is_named_and_leaves_nothing(
    name: str, tmp_path: Path, unchanged: Unchanged
) -> None:
    soundfile.write(tmp_path / "in.wav", music(60_000), RATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))
    try:
        with pytest.raises(UserError, match=f"cannot write .*{name}: it is larger than"):
            enhance_files("model", [tmp_path / "in.wav"], tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_channels_a_format_cannot_hold_are_named(tmp_path: Path, unchanged: Unchanged) -> None:
    soundfile.write(tmp_path / "in.wav", music(100, 3), RATE)
    with pytest.raises(
        UserError, match=r"out\.mp3: MP3 with MPEG_LAYER_III cannot hold 3 channels of 16000 Hz"
    ):
        enhance_files("model", [tmp_path / "in.wav"], tmp_path / "out.mp3")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_ctrl_c_leaves_whole_files_only(tmp_path: Path, unchanged: Unchanged) -> None:
    for name in ("1.wav", "2.wav"):
        soundfile.write(tmp_path / name, music(RATE), RATE)

    class Interrupted(Unchanged):
        def forward(self, noisy: Tensor) -> Tensor:
            if self.lengths:
                raise KeyboardInterrupt
            return super().forward(noisy)

    unchanged.forward = Interrupted().forward  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        enhance_files("model", [tmp_path / "1.wav", tmp_path / "2.wav"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1.wav"]


def test_reading_goes_on_in_blocks_of_seconds(tmp_path: Path, unchanged: Unchanged) -> None:
    """Bounded memory: nothing between reading and writing ever sees more than about two chunks."""
    soundfile.write(tmp_path / "long.wav", np.zeros(100 * RATE, np.float32), RATE)
    sizes: list[int] = []
    apply = arrays._apply

    def noted(network: nn.Module, piece: np.ndarray, gain: float, name: str) -> np.ndarray:
        sizes.append(len(piece))
        return apply(network, piece, gain, name)

    arrays._apply, restore = noted, arrays._apply
    try:
        enhance_files("model", [tmp_path / "long.wav"], tmp_path / "out.wav")
    finally:
        arrays._apply = restore
    assert max(sizes) == 10 * RATE
    assert probe(tmp_path / "out.wav").frames == 100 * RATE

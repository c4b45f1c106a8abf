"""From microphone to loudspeaker, with devices that are made here; some are not there, some go away."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sedistill
from sedistill.cli import main
from sedistill.common.errors import UserError
from sedistill.inference.adapters import live
from sedistill.inference.adapters.live import Live, enhance_live, level_db
from sedistill.inference.adapters.sound_devices import device_table, line_between
from sedistill.inference.streaming import Stream
from tests.inference.enhancing.conftest import music


class PortAudioError(Exception):
    pass


def device(index: int, name: str, inputs: int, outputs: int, rate: float) -> dict[str, Any]:
    return {
        "index": index, "name": name, "max_input_channels": inputs, "max_output_channels": outputs,
        "default_samplerate": rate,
    }  # fmt: skip


DEVICES = [device(0, "Headset mic", 1, 0, 48_000.0), device(1, "Speakers", 0, 2, 44_100.0)]


class FakeSound:
    """What sounddevice does, as far as it is used: `end` is what happens when `heard` is all played."""

    PortAudioError = PortAudioError
    CallbackAbort = type("CallbackAbort", (Exception,), {})

    def __init__(self, rates: tuple[int, ...] = (16_000,), end: str = "Ctrl-C", devices: Any = None) -> None:
        self.rates, self.end, self.devices = rates, end, DEVICES if devices is None else devices
        self.noisy, self.played = np.zeros(0, np.float32), [np.zeros((0, 2), np.float32)]
        self.opened: dict[str, Any] = {}

    def query_devices(self, wanted: int | str | None = None, kind: str = "") -> Any:
        if not kind:
            return self.devices
        for one in self.devices:
            if one[f"max_{kind}_channels"] and (wanted in (None, one["index"]) or str(wanted) in one["name"]):
                return one
        raise ValueError(f"No {kind} device matching {wanted!r}")

    def check_input_settings(self, _: int, samplerate: int, **more: Any) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]\nmore")

    check_output_settings = check_input_settings

    def Stream(self, **settings: Any) -> Any:  # noqa: N802 - named as sounddevice names it
        self.opened = settings
        if self.end == "busy":
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        return FakeStream(self, settings["callback"], settings["blocksize"])


class FakeStream:
    latency = 0.01, 0.02

    def __init__(self, sound: FakeSound, callback: Callable[..., None], size: int) -> None:
        self.sound, self.callback, self.size = sound, callback, size
        self.active = True
        self.thread = threading.Thread(target=self._play)

    def start(self) -> None:
        self.thread.start()

    def _play(self) -> None:
        for start in range(0, len(self.sound.noisy), self.size):
            played = np.zeros((self.size, 2), np.float32)
            noisy = np.pad(self.sound.noisy[start : start + self.size], (0, self.size))[: self.size, None]
            try:
                self.callback(noisy, played, self.size, None, "")
            except FakeSound.CallbackAbort:
                self.active = False
                return
            self.sound.played.append(played)
        if self.sound.end == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)
        self.active = self.sound.end != "unplugged"

    def close(self) -> None:
        self.thread.join()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeSound], FakeSound]:
    def install(sound: FakeSound) -> FakeSound:
        monkeypatch.setitem(sys.modules, "sounddevice", sound)
        return sound

    monkeypatch.setattr(live, "SHOWN_EVERY_SECONDS", 0.01)
    return install


Use = Callable[[FakeSound], FakeSound]


def stream(rate: int) -> Stream:
    return Stream("fastenhancer-t", rate, resampling="LQ")


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_what_is_played_is_the_microphone_enhanced_and_late_by_what_was_said(
    rate: int, use: Use, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = use(FakeSound(rates=(rate,)))
    sound.noisy = music(rate, 1, rate)[:, 0]
    enhance_live(stream, 16_000)
    played = np.concatenate(sound.played)
    one = stream(rate)
    wanted = np.concatenate([one.process(sound.noisy), one.flush()])
    late = int(np.ceil(one.latency_ms * rate / 1000))
    np.testing.assert_array_equal(played[:, 0], played[:, 1])
    assert not played[:late].any()
    np.testing.assert_allclose(played[late : len(wanted), 0], wanted[: len(wanted) - late], atol=1e-5)
    told = capsys.readouterr().err
    assert f"Headset mic -> Speakers at {rate} Hz" in told
    assert f"Latency {one.latency_ms + 30:.0f} ms: network {one.latency_ms:.0f}, microphone 10" in told
    assert "1.0 s of sound, 0 dropouts" in told
    assert sound.opened["device"] == (0, 1)


@pytest.mark.parametrize("end", ["unplugged", "silent"])
def test_a_device_that_goes_away_ends_it_with_a_sentence(
    end: str, use: Use, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "GONE_AFTER_SECONDS", 0.5)
    sound = use(FakeSound(end=end))
    sound.noisy = music(3200)[:, 0]
    with pytest.raises(UserError, match=r"the sound stopped after 0\.2 s: a device is gone"):
        enhance_live(stream, 16_000)
    assert "0.2 s of sound" in capsys.readouterr().err


def test_a_fault_of_the_network_is_its_own(use: Use) -> None:
    class Broken:
        sample_rate, latency_ms = 16_000, 0.0

        def process(self, chunk: np.ndarray) -> np.ndarray:
            raise UserError("the model gave NaN.")

    use(FakeSound()).noisy = music(3200)[:, 0]
    with pytest.raises(UserError, match="the model gave NaN"):
        enhance_live(lambda _: Broken(), 16_000)  # type: ignore[arg-type, return-value]


def test_devices_are_listed_and_found_by_number_and_name(use: Use) -> None:
    use(FakeSound())
    assert device_table().splitlines()[2].split() == ["1", "0", "2", "44100", "Hz", "Speakers"]
    assert line_between("0", "Speak", 16_000).loudspeaker == 1
    assert line_between(None, None, 16_000).names == "Headset mic -> Speakers"
    use(FakeSound(rates=(48_000,)))
    assert line_between(None, None, 16_000).rate == 48_000


def test_devices_that_are_not_there_are_told(use: Use) -> None:
    use(FakeSound(devices=[]))
    with pytest.raises(UserError, match="there is no sound device here"):
        device_table()
    use(FakeSound(devices=DEVICES[:1]))
    with pytest.raises(UserError, match="there is no loudspeaker here that the system would choose"):
        line_between(None, None, 16_000)
    use(FakeSound())
    with pytest.raises(UserError, match="microphone = Banjo: No input device matching 'Banjo'"):
        line_between("Banjo", None, 16_000)
    use(FakeSound(rates=()))
    with pytest.raises(UserError, match=r"neither 16000 Hz nor 48000 Hz \(Invalid sample rate"):
        line_between(None, None, 16_000)
    use(FakeSound(end="busy"))
    with pytest.raises(UserError, match=r"cannot be opened: Device unavailable \[PaErrorCode -9985\]\."):
        enhance_live(stream, 16_000)


def test_missing_packages_and_libraries_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # importing it raises ImportError
    with pytest.raises(UserError, match=r"pip install 'sedistill\[live\]'"):
        device_table()

    class NoLibrary:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with pytest.raises(UserError, match="apt install libportaudio2"):
        device_table()


def test_a_block_that_comes_too_soon_is_silence_and_counted() -> None:
    class Late:
        sample_rate, latency_ms = 16_000, 0.0

        def process(self, chunk: np.ndarray) -> np.ndarray:
            return chunk[:-10]

    one, played = Live(Late(), RuntimeError), np.ones((100, 1), np.float32)  # type: ignore[arg-type]
    one.heard(np.full((100, 1), 0.5, np.float32), played, 100, None, "")
    assert one.dropouts == 1
    np.testing.assert_array_equal(played[:, 0], [0] * 10 + [0.5] * 90)
    assert one.meter().startswith("in   -6 dB [################## ")


def test_levels() -> None:
    assert level_db(np.full(10, 0.1)) == pytest.approx(-20)
    assert level_db(np.zeros(10)) == level_db(np.zeros(0)) == -60


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--live", "a.wav"], "--live takes no files"),
        (["--live", "--dry"], "are for files"),
        (["--live", "--raw", "16000"], "--raw is for a pipe"),
        (["a.wav", "-o", "b.wav", "--microphone", "0"], "are for --live"),
        ([], "nothing to enhance"),
        (["--model", "x.onnx", "--backend", "torch", "a.wav", "-o", "b.wav"], "leave out --backend torch"),
        (["--backend", "onnx", "--device", "cuda", "a.wav", "-o", "b.wav"], "leave out --device cuda"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sedistill", "enhance", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert reason in capsys.readouterr().err


def test_the_command_lists_and_enhances(
    use: Use, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = use(FakeSound())
    monkeypatch.setattr(sys, "argv", ["sedistill", "enhance", "--list-devices"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    assert "Headset mic" in capsys.readouterr().out
    sound.noisy = music(8000)[:, 0]
    arguments = ["sedistill", "enhance", "--live", "--strength", "0", "--model", "fastenhancer-t"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    assert "0.5 s of sound" in capsys.readouterr().err
    played = np.concatenate(sound.played)[:, 0]
    late = int(sedistill.Stream("fastenhancer-t").latency_ms * 16)
    np.testing.assert_array_equal(played[late:8000], sound.noisy[: 8000 - late])

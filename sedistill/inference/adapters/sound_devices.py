"""Microphones and loudspeakers, as sounddevice (PortAudio) knows them."""

from dataclasses import dataclass
from typing import Any

from sedistill.common.errors import UserError
from sedistill.common.extras import needed
from sedistill.common.wording import first_line


def sounddevice() -> Any:
    """The package of that name. Raises UserError where it, or the library below it, is missing."""
    try:
        return needed("sounddevice", "live")
    except OSError:  # it looks for the library as it is imported
        raise UserError(
            "sounddevice finds no PortAudio here; install it (Debian: apt install libportaudio2; macOS: brew "
            "install portaudio)."
        ) from None


def device_table() -> str:
    """Every device with its number, a line each. Raises UserError where there is none."""
    devices = _all_devices(sounddevice())
    lines = ["number  in  out  rate      name"]
    for device in devices:
        lines.append(
            f"{device['index']:>6}  {device['max_input_channels']:>2}  {device['max_output_channels']:>3}  "
            f"{device['default_samplerate']:>5.0f} Hz  {device['name']}"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class Line:
    """From a microphone to a loudspeaker, at a rate that both take."""

    microphone: int
    loudspeaker: int
    rate: int
    output_channels: int
    names: str


def line_between(microphone: str | None, loudspeaker: str | None, wanted_rate: int) -> Line:
    """The line between two devices, by number or a part of their names; None is the system's choice.

    Its rate is the wanted one where both devices take it, else the microphone's own.
    Raises UserError where there is no such device, or no rate for both.
    """
    sound = sounddevice()
    _all_devices(sound)
    heard = _device(sound, "input", "microphone", microphone)
    played = _device(sound, "output", "loudspeaker", loudspeaker)
    names = f"{heard['name']} -> {played['name']}"
    channels = min(2, played["max_output_channels"])
    rates = [wanted_rate, round(heard["default_samplerate"])]
    for rate in rates:
        try:
            sound.check_input_settings(heard["index"], channels=1, dtype="float32", samplerate=rate)
            sound.check_output_settings(played["index"], channels=channels, dtype="float32", samplerate=rate)
        except (sound.PortAudioError, ValueError) as error:
            reason = reason_of(error)
        else:
            return Line(heard["index"], played["index"], rate, channels, names)
    raise UserError(
        f"{names}: no rate for both, neither {rates[0]} Hz nor {rates[1]} Hz ({reason}); choose other "
        "devices (--list-devices)."
    )


def reason_of(error: Exception) -> str:
    """What PortAudio says, in a line without a full stop."""
    return first_line(error).rstrip(".")


def _all_devices(sound: Any) -> list[dict[str, Any]]:
    devices = list(sound.query_devices())
    if not devices:
        raise UserError("there is no sound device here, neither microphone nor loudspeaker; plug one in.")
    return devices


def _device(sound: Any, kind: str, what: str, name: str | None) -> dict[str, Any]:
    wanted = int(name) if name and name.isdigit() else name
    try:
        return sound.query_devices(wanted, kind)
    except (sound.PortAudioError, ValueError) as error:
        if name is None:
            raise UserError(
                f"there is no {what} here that the system would choose; name one (--list-devices)."
            ) from None
        raise UserError(f"{what} = {name}: {reason_of(error)}; --list-devices shows the devices.") from None

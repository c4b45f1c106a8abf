"""The archive of a DeepFilterNet3: its settings, and its three graphs."""

import configparser
import math
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sedistill.common.errors import UserError

GRAPHS = ("enc", "erb_dec", "df_dec")
CONFIG = "config.ini"


@dataclass(frozen=True)
class Archive:
    """What `config.ini` says, and the graphs.

    Attributes:
        sample_rate: Hz.
        frame: samples; a spectrum is made of two, the one before and this.
        bands, least_bins: bands of the gains on an ERB scale, and how few bins one may have.
        filtered_bins, taps: so many low bins are filtered over so many frames.
        gains_lookahead, filter_lookahead: frames to come that the gains and the filters know.
        forgetting: of the running means of the features, from one frame to the next.
        graphs: the bytes of each of `GRAPHS`.
    """

    sample_rate: int
    frame: int
    bands: int
    least_bins: int
    filtered_bins: int
    taps: int
    gains_lookahead: int
    filter_lookahead: int
    forgetting: float
    graphs: dict[str, bytes] = field(repr=False)

    @property
    def window(self) -> int:
        """Samples of which a spectrum is made."""
        return 2 * self.frame

    @property
    def lookahead(self) -> int:
        """Frames to come that the output knows."""
        return max(self.gains_lookahead, self.filter_lookahead)

    @property
    def bins(self) -> int:
        """Of a spectrum."""
        return self.frame + 1


def read_archive(path: Path) -> Archive:
    """Raises UserError for a file that is no such archive."""
    try:
        files = _files(path)
        config = configparser.ConfigParser()
        config.read_string(files[CONFIG].decode())
        if (kind := config["train"]["model"]) != "deepfilternet3":
            raise UserError(f"{path} holds a {kind}; only archives of a deepfilternet3 can be read.")
        said = {**config["deepfilternet"], **config["df"]}  # some keys stood in either, over the years
        archive = Archive(
            sample_rate=int(said["sr"]),
            frame=int(said["hop_size"]),
            bands=int(said["nb_erb"]),
            least_bins=int(said["min_nb_erb_freqs"]),
            filtered_bins=int(said["nb_df"]),
            taps=int(said["df_order"]),
            gains_lookahead=int(said["conv_lookahead"]),
            filter_lookahead=int(said["df_lookahead"]),
            forgetting=_rounded(math.exp(-int(said["hop_size"]) / int(said["sr"]) / float(said["norm_tau"]))),
            graphs={name: files[f"{name}.onnx"] for name in GRAPHS},
        )
        if int(said["fft_size"]) != archive.window:
            raise ValueError("its frames do not overlap by half")
        if archive.lookahead >= archive.taps:
            raise ValueError("it looks farther ahead than its filters reach")
        return archive
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError, configparser.Error) as error:
        raise UserError(
            f"{path} is no archive of DeepFilterNet3's {CONFIG} and graphs ({', '.join(GRAPHS)}): {error}."
        ) from None


def _files(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        streams = {PurePosixPath(one.name).name: archive.extractfile(one) for one in archive if one.isfile()}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}


def _rounded(forgetting: float) -> float:
    """To three digits, or to as many as keep it under 1."""
    return next(value for digits in range(3, 20) if (value := round(forgetting, digits)) < 1)

"""examples/run_onnx.c, compiled and run: it gives what the network gives.

The headers of onnxruntime are looked for in ONNXRUNTIME_INCLUDE and where Debian has them; the library is the
one in onnxruntime's wheel.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sedistill
from tests.inference.exporting.conftest import network
from tests.inference.exporting.test_export import noise

SOURCE = Path(__file__).parents[3] / "examples" / "run_onnx.c"
HEADER = "onnxruntime_c_api.h"
PLACES = [os.environ.get("ONNXRUNTIME_INCLUDE", ""), "/usr/include/onnxruntime", "/usr/local/include"]
HEADERS = next((place for place in PLACES if place and (Path(place) / HEADER).is_file()), None)
COMPILER = shutil.which("cc")
pytestmark = [
    pytest.mark.skipif(HEADERS is None, reason=f"no {HEADER}; name its folder in ONNXRUNTIME_INCLUDE"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runtime = pytest.importorskip("onnxruntime")
    library = next(Path(runtime.__file__).parent.glob("capi/libonnxruntime.so.*"), None)
    if library is None:
        pytest.skip("onnxruntime's wheel has no library to link to")
    place = tmp_path_factory.mktemp("c") / "run_onnx"
    (place.parent / "libonnxruntime.so.1").symlink_to(library)
    (place.parent / "libonnxruntime.so").symlink_to(library)
    command = [
        str(COMPILER),
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-O2",
        str(SOURCE),
        "-I",
        str(HEADERS),
    ]
    command += [
        "-I",
        str(HEADERS),
        "-L",
        str(place.parent),
        "-lonnxruntime",
        f"-Wl,-rpath,{place.parent}",
        "-o",
        str(place),
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return place


def run(program: Path, path: Path, noisy: np.ndarray) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program, path], input=noisy.tobytes(), capture_output=True, timeout=60)


@pytest.mark.parametrize("samples", [0, 1, 256, 20_077])
def test_it_gives_what_the_network_gives(
    program: Path, exported: Callable[[str, str], Path], samples: int
) -> None:
    noisy = noise(20_077)[:samples]
    result = run(program, exported("two blocks", "stream"), noisy)
    assert result.returncode == 0, result.stderr
    clean = np.frombuffer(result.stdout, np.float32)
    assert len(clean) == samples
    if samples:
        wanted = sedistill.enhance(network("two blocks"), noisy, 16_000, chunk_seconds=None)
        assert np.abs(clean - wanted).max() < 1e-5


def test_what_cannot_be_used_is_told(
    program: Path, exported: Callable[[str, str], Path], tmp_path: Path
) -> None:
    result = run(program, exported("two blocks", "spectrum"), noise(100))
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"is no stream; export it with --form stream." in result.stderr
    result = run(program, tmp_path / "nowhere.onnx", noise(100))
    assert result.returncode == 2
    assert b"nowhere.onnx" in result.stderr

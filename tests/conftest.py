"""One torch thread everywhere: spinning threads cost tenfold on shared cores."""

import os
import signal
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hypothesis import settings

settings.register_profile("sedistill", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("sedistill")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", default=os.environ.get("SEDISTILL_DATA"), help="folder of real recordings")


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> None:
    """A shell's background jobs begin with Ctrl-C ignored, nohup's with a closed terminal, and so would all
    they start.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def typed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., CompletedProcess]:
    """A command line as somebody types it, in this process: another would import torch again."""
    from sedistill.cli import main

    def run(*words: object) -> CompletedProcess:
        monkeypatch.setattr(sys, "argv", ["sedistill", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return CompletedProcess(sys.argv, int(end.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def real_data(request: pytest.FixtureRequest) -> Path:
    """The folder of real recordings, or a visible skip."""
    folder = request.config.getoption("--data")
    if not folder:
        pytest.skip("real recordings are not at hand: give --data or set SEDISTILL_DATA")
    return Path(folder)

"""The command line: quick, light, helpful, and polite about mistakes."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sedistill.cli import app

COMMANDS = ("prepare", "mix", "train", "evaluate", "reproduce", "recipes", "enhance", "models", "demo")
HEAVY = ("torch", "lightning", "pytorch_lightning", "matplotlib", "onnxruntime", "soundfile", "scipy", "pesq")


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "from sedistill.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def cpu_seconds(*arguments: str) -> float:
    """User and system time of the command, so that a busy machine does not count."""
    resource = pytest.importorskip("resource", reason="CPU time of children needs Unix")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_takes_less_than_a_second() -> None:
    assert min(cpu_seconds("--help") for _ in range(3)) < 1.0


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text), command


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert result.returncode == 0
    assert f"{command} [OPTIONS]" in result.stdout
    assert result.stderr == ""


def test_importing_sedistill_and_its_commands_is_light() -> None:
    code = f"""
import sys
import sedistill, sedistill.cli
print([name for name in {HEAVY} if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["si_sdr,stoi", "si_sdr, stoi", " si_sdr ,stoi,", "\tsi_sdr,\nstoi"])
def test_spaces_around_commas_do_not_matter(text: str) -> None:
    from sedistill.cli.shared_options import listed

    assert listed("--metrics", text) == ["si_sdr", "stoi"]
    assert listed("--metrics", None) is None


@pytest.mark.parametrize("text", ["", " ", " , "])
def test_a_list_that_names_nothing_is_refused_by_every_command_that_takes_one(text: str) -> None:
    for command, option in (
        (["evaluate", "m", "--on", "s", "-o", "out"], "--metrics"),
        (["compare", "scores", "-o", "out"], "--metrics"),
        (["compare", "scores", "-o", "out"], "--methods"),
        (["prepare", "corpus", "-o", "out"], "--valid-speakers"),
    ):
        result = CliRunner().invoke(app, [*command, option, text])
        assert result.exit_code == 2
        assert f"{option} names nothing" in result.stderr


def test_version() -> None:
    import sedistill

    assert run("--version").stdout == f"sedistill {sedistill.__version__}\n"


def test_no_arguments_show_the_help() -> None:
    result = run()
    assert "Usage" in result.stdout + result.stderr


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    result = run("trian")
    assert result.returncode == 2
    assert "trian" in result.stderr
    assert "train" in result.stderr.replace("trian", "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("train", "missing.yaml"), "missing.yaml"),
        (("prepare", "--clean", "nowhere", "--noise", "nowhere", "-o", "corpus"), "nowhere"),
        (("mix", "nowhere", "-o", "set"), "nowhere"),
        (("evaluate", "nowhere", "--on", "nothing", "-o", "scores"), "not"),
        (("enhance", "noisy.wav", "--model", "nowhere", "-o", "out"), "no"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("sedistill: ")
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_ctrl_c_is_exit_code_130() -> None:
    code = """
import os, signal
import sedistill.models.catalogue as catalogue
catalogue.print_catalogue = lambda: os.kill(os.getpid(), signal.SIGINT)
from sedistill.cli import main
main()
"""
    result = subprocess.run([sys.executable, "-c", code, "models"], capture_output=True, text=True)
    assert result.returncode == 130
    assert result.stderr.startswith("\nsedistill: interrupted")
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("home", "name", "arguments", "way_on"),
    [
        ("sedistill.training.run", "train", ["train", "recipe.yaml"], "goes on where it stopped"),
        ("sedistill.workflows.demo", "make_demo", ["demo"], "goes on where it stopped"),
        ("sedistill.data.mixed_sets", "mix", ["mix", "corpus", "-o", "set"], "starts afresh"),
        (
            "sedistill.inference.enhancing",
            "enhance_files",
            ["enhance", "in", "--model", "m", "-o", "o"],
            "nothing was written",
        ),
    ],
)
def test_ctrl_c_says_how_to_go_on(
    home: str,
    name: str,
    arguments: list[str],
    way_on: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from sedistill import cli

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module(home), name, interrupted)
    with pytest.raises(SystemExit) as stop:
        cli.app(arguments)
    assert stop.value.code == 130
    assert way_on in capsys.readouterr().err


def test_a_usage_error_is_exit_code_2() -> None:
    result = run("mix", "corpus")
    assert result.returncode == 2
    assert "--output" in result.stderr

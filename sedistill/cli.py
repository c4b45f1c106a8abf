"""Every command of `sedistill`, in one file. What a command needs is imported when it runs."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import sedistill
from sedistill.console import prepare_streams
from sedistill.errors import UserError
from sedistill.interruption import came, finished, heard, safe_moment
from sedistill.reading import printable

# What Ctrl-C left behind, and so how to go on.
NOTHING_KEPT = "nothing was written, and the same command line starts afresh"
WAYS_ON = {
    "train": "the same command line goes on where it stopped",
    "reproduce": "the same command line goes on where it stopped",
    "demo": "the same command line goes on where it stopped",
    "enhance": "files written so far are whole; say --overwrite to begin again",
}


class Commands(TyperGroup):
    """Says in one sentence what ended a command, and how to go on.

    A user's mistake, and what the system refuses, is exit code 2; an interruption 128 and the signal's
    number, as shells have it. Typer would turn Ctrl-C into a silent exit before it gets to `main`.
    """

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        with ends_in_words(None):
            return super().make_context(*arguments, **named)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, text in pairwise(["the command", *args]):
            if text == "" or (text.startswith("--") and text.endswith("=")):
                place = f"after {before}" if text == "" else f"for {text[:-1]}"
                raise UserError(f"an empty text {place} names nothing; give it a value, or leave it out.")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> None:
        with ends_in_words(ctx):
            safe_moment()
            super().invoke(ctx)


@contextmanager
def ends_in_words(ctx: Any) -> Iterator[None]:
    """Whatever ends the work in here is told, and the process exits."""
    with heard():
        try:
            yield
        except UserError as error:
            end_with(f"sedistill: {printable(str(error))}", 2)
        except KeyboardInterrupt:
            end_interrupted(ctx)
        except Exception as error:
            if came() is not None:  # an interrupted library may say so in many ways
                end_interrupted(ctx)
            if not isinstance(error, OSError) or error.errno is None:
                raise
            from sedistill.writing.disk_errors import reason_in_words

            where = "" if error.filename is None else f"{printable(os.fsdecode(error.filename))}: "
            end_with(f"sedistill: {where}{reason_in_words(error)}.", 2)


def end_interrupted(ctx: Any) -> NoReturn:
    """Say how to go on after Ctrl-C, a plain kill or a closed terminal."""
    command = getattr(ctx, "invoked_subcommand", None) or ""
    way_on = f"{finished()} is written, and whole" if finished() else NOTHING_KEPT
    number = came() or signal.SIGINT
    by = "" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
    end_with(f"\nsedistill: interrupted{by}; {WAYS_ON.get(command, way_on)}.", 128 + number)


def end_with(sentence: str, code: int) -> NoReturn:
    with suppress(OSError, ValueError):  # the terminal may be gone
        print(sentence, file=sys.stderr, flush=True)
    sys.exit(code)


app = typer.Typer(
    cls=Commands,
    name="sedistill",
    help="Make small speech-enhancement networks good by knowledge distillation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Output = Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at the output already.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=1024, help="How many at a time.", show_default="one a core"),
]
Align = Annotated[bool, typer.Option("--align", help="Shift ready pairs whose noisy file is late or early.")]
TrustPairs = Annotated[
    bool, typer.Option("--trust-pairs", help="Use ready pairs that do not seem to fit as they are.")
]
RawLevel = Annotated[bool, typer.Option("--raw-level", help="Leave level and sign as the network made them.")]


@app.command()
def prepare(
    output: Output,
    root: Annotated[
        Path | None, typer.Argument(help="A corpus in a known layout; or name its folders below.")
    ] = None,
    clean: Annotated[Path | None, typer.Option(help="Folder of clean speech.")] = None,
    noise: Annotated[Path | None, typer.Option(help="Folder of noise.")] = None,
    noisy: Annotated[Path | None, typer.Option(help="Folder of noisy files named as the clean ones.")] = None,
    layout: Annotated[
        str,
        typer.Option(help="auto, folders, pairs, voicebank-demand (or -28, -56), dns2020 or timit-noisex92."),
    ] = "auto",
    valid_speakers: Annotated[
        str | None,
        typer.Option(
            "--valid-speakers",
            help="VoiceBank+DEMAND: speakers to validate with; commas between.",
            show_default="p226,p287 of the 28, a tenth of the 56",
        ),
    ] = None,
    speaker_from: Annotated[
        str | None,
        typer.Option(
            help="A regular expression whose group is the speaker in a path, such as '^([^_]+)_'.",
            show_default="by names and folders",
        ),
    ] = None,
    noise_from: Annotated[
        str | None,
        typer.Option(
            help="The same for the recording that a noise file is cut from.", show_default="by names"
        ),
    ] = None,
    sample_rate: Annotated[
        int, typer.Option(help="Rate in Hz to train at; other files are converted.")
    ] = 16_000,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Decides the split where no folders do.")
    ] = 0,
    workers: Workers = None,
    align: Align = False,
    trust_pairs: TrustPairs = False,
    overwrite: Overwrite = False,
) -> None:
    """Check every file of a corpus and write a readable manifest."""
    from sedistill.data.prepare import prepare as run

    summary = run(
        output, root=root, clean=clean, noise=noise, noisy=noisy, layout=layout,
        valid_speakers=listed("--valid-speakers", valid_speakers),
        sample_rate=sample_rate, seed=seed, workers=workers, overwrite=overwrite,
        speaker_from=speaker_from, noise_from=noise_from, align=align, trust_pairs=trust_pairs,
    )  # fmt: skip
    typer.echo(summary.text())


@app.command()
def mix(
    corpus: Annotated[Path, typer.Argument(help="A corpus written by `sedistill prepare`.")],
    output: Output,
    split: Annotated[
        str, typer.Option(help="train, valid, test or another of the corpus, such as test_with_reverb.")
    ] = "test",
    count: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Number of mixtures.", show_default="300")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Another seed, other mixtures.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="key=value",
            help="A mixing setting; repeat for more. The chief ones: snr_db_low=0, snr_db_high=20, "
            "clip_seconds=4 (null: whole recordings), level_db=-26, snr_on=active.",
        ),
    ] = None,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            help="Every sentence with every noise at every SNR; settings: snr_db=-5,0,5 (needed), "
            "noises=pink,babble, noise_split=train, snr_on=rms, level_db=null.",
        ),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a fixed set of mixtures: pairs of noisy and clean files and their table."""
    from sedistill.data.fixed_sets import write_fixed_set
    from sedistill.data.grids import grid_settings, write_grid_set
    from sedistill.data.mixing import mixing_settings
    from sedistill.errors import UserError

    if grid and count is not None:
        raise UserError("--count has no meaning with --grid, which takes every combination; take one out.")
    if grid:
        summary = write_grid_set(
            corpus, output, grid_settings(settings or []), split=split, seed=seed, overwrite=overwrite
        )
    else:
        summary = write_fixed_set(
            corpus, output, split=split, count=count or 300, seed=seed,
            mixing=mixing_settings(settings or []), overwrite=overwrite,
        )  # fmt: skip
    typer.echo(summary.text())


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="key=value", help="Any key of the recipe: seed=1 optimiser.learning_rate=5e-4"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder.", show_default="runs/NAME/seed-N"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would happen, and stop.")] = False,
) -> None:
    """Train a network, plain or distilled. The same line again resumes an interrupted run."""
    from sedistill.training.run import train as run

    run(recipe, overrides or [], output=output, plan_only=plan)


@app.command()
def evaluate(
    models: Annotated[list[Path], typer.Argument(help="Folders of saved models.")],
    on: Annotated[list[Path], typer.Option("--on", help="A folder with noisy/ and clean/; repeat for more.")],
    output: Output,
    metrics: Annotated[
        str,
        typer.Option(
            help="Of pesq_wb, pesq_nb, stoi, estoi, si_sdr, csig, cbak, covl, seg_snr; cbak_peaks_matched "
            "(the CBAK of the port that MANNER and MV-AT use); with the extra dnsmos also dnsmos_sig, "
            "dnsmos_bak, dnsmos_ovrl. Commas between.",
            show_default="the first nine",
        ),
    ] = "pesq_wb,pesq_nb,stoi,estoi,si_sdr,csig,cbak,covl,seg_snr",
    workers: Workers = None,
    raw_level: RawLevel = False,
    align: Align = False,
    trust_pairs: TrustPairs = False,
    overwrite: Overwrite = False,
) -> None:
    """Score saved models (and the noisy input) on sets of noisy/clean pairs."""
    from sedistill.evaluation.evaluate import evaluate_models

    evaluate_models(
        models, on, output, metrics=listed("--metrics", metrics) or (), workers=workers,
        correct_level=not raw_level, overwrite=overwrite, show=True, align=align,
        trust_pairs=trust_pairs,
    )  # fmt: skip


@app.command()
def compare(
    evaluations: Annotated[
        list[Path],
        typer.Argument(help="Folders that `sedistill evaluate` wrote on the same sets, such as one a seed."),
    ],
    output: Output,
    baseline: Annotated[
        str | None, typer.Option(help="The method to compare with, or noisy.", show_default="alone")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="The method whose gap is to be closed.", show_default="teacher, if there is one"),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Commas between.", show_default="all that are shared")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="The methods to test; commas between.", show_default="all")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Test methods against a baseline, over clips and over seeds; write tables, figures and a page."""
    from sedistill.comparing import compare as run

    run(
        evaluations, output, baseline=baseline, teacher=teacher,
        metrics=listed("--metrics", metrics), methods=listed("--methods", methods),
        overwrite=overwrite, show=True,
    )  # fmt: skip


@app.command()
def analyze(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs trained with the recipe key patch_record.")
    ],
    output: Output,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="The teacher's run, to which gaps are computed.", show_default="the one a recipe names"
        ),
    ] = None,
    converging_below: Annotated[
        float | None, typer.Option(help="Threshold on the change of the error.", show_default="-0.01")
    ] = None,
    exploding_above: Annotated[
        float | None, typer.Option(help="Threshold on the change of the error.", show_default="0.01")
    ] = None,
    bin_reduction: Annotated[str, typer.Option(help="sum or mean over the bins of a patch.")] = "sum",
    include_init: Annotated[
        bool, typer.Option("--include-init", help="Count the untrained network as the first observation.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Show what became of spectrogram patches in trainings: converging, converged, challenging, exploding."""
    from sedistill.analyzing import analyze as run

    run(
        runs, output, teacher=teacher, converging_below=converging_below, exploding_above=exploding_above,
        bin_reduction=bin_reduction, include_init=include_init, overwrite=overwrite, show=True,
    )  # fmt: skip


@app.command()
def crossover(
    clip: Annotated[Path, typer.Argument(help="An audio file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The figure to write, an .svg file.")],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a saved model, whose output is looked at.", show_default="the clip itself"
        ),
    ] = None,
    start: Annotated[float, typer.Option(min=0, max=1e6, help="Where to begin, in seconds.")] = 0.0,
    seconds: Annotated[float, typer.Option(min=0.05, max=600, help="How much of it.")] = 5.0,
    min_bin: Annotated[int, typer.Option(min=0, max=255, help="Lowest possible crossover.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw over time where DFKD parts low from high bands, of a clip or of what a network makes of it."""
    from sedistill.analyzing import draw_crossover

    found = draw_crossover(
        clip, output, model=model, start=start, seconds=seconds, min_bin=min_bin, overwrite=overwrite
    )
    typer.echo(found.text())
    typer.echo(f"The figure is {output}.")


@app.command()
def reproduce(
    folder: Annotated[Path, typer.Argument(help="A table's folder, such as recipes/dispatch/table1.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the corpora; with --scale small one with clean/ and noise/."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where all lands.", show_default="reproduced/PAPER-SCALE"),
    ] = None,
    scale: Annotated[str, typer.Option(help="full: as in the paper; small: for two CPU cores.")] = "full",
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help="Seeds of every row.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option(help="A row's key; repeat for more.", show_default="all rows")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="Trainings at a time.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="key=value", help="Change every recipe; for rehearsals."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print runs, hours (measured here) and disk, and stop.")
    ] = False,
) -> None:
    """Train and score what a table of a paper needs, and write our numbers beside the paper's."""
    from sedistill.reproducing import reproduce as run

    run(
        folder, data=data, output=output, scale=scale, seeds=seeds, only=only, plan_only=plan, jobs=jobs,
        changes=settings or [],
    )  # fmt: skip


@app.command()
def enhance(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    inputs: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write for one input file, else the folder.")
    ],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    raw_level: RawLevel = False,
    overwrite: Overwrite = False,
) -> None:
    """Denoise files: any rate, channels and length in; the same out."""
    from sedistill.enhancing import enhance_files

    enhance_files(model, inputs, output, device=device, correct_level=not raw_level, overwrite=overwrite)


@app.command()
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Corpora, sets, runs, saved models, checkpoints, evaluations, teacher outputs."),
    ],
) -> None:
    """Say what each path is and whether all in it is as it was written; exit code 1 where it is not."""
    from sedistill.checking import check_paths

    if not check_paths(paths):
        raise typer.Exit(1)


@app.command()
def models() -> None:
    """List the networks with their size, cost, causality and latency, beside the papers' figures."""
    from sedistill.models.listing import print_presets

    print_presets()


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")] = Path("demo"),
    overwrite: Overwrite = False,
) -> None:
    """Run the whole journey on a corpus made on the spot, and write a page to look at and listen to."""
    from sedistill.demo import run_demo

    run_demo(output, overwrite=overwrite)


def listed(option: str, text: str | None) -> list[str] | None:
    """The names that an option lists with commas between; None where it is left out. Raises UserError."""
    from sedistill.settings import parts_of

    names = None if text is None else parts_of(text)
    if names == []:
        raise UserError(f"{option} names nothing; give names with commas between, or leave it out.")
    return names


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sedistill {sedistill.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version.")
    ] = False,
) -> None:
    """Make small speech-enhancement networks good by knowledge distillation."""


def main() -> None:
    """The `sedistill` command."""
    # Threads that spin while they wait cost tenfold as soon as something else runs on the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with ends_in_words(None):  # while typer builds the commands, too
            prepare_streams()
            app()
    finally:
        flush_output()


def flush_output() -> None:
    """What was printed and cannot be delivered, to a full disk say, is not lost in silence."""
    try:
        sys.stdout.flush()
    except OSError as error:
        from sedistill.writing.disk_errors import reason_in_words

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        end_with(f"sedistill: what was to be printed could not be: {reason_in_words(error)}.", 2)

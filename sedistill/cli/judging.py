"""Commands that measure what came of it."""

from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import (
    Align,
    Output,
    Overwrite,
    RawLevel,
    TrustCode,
    TrustPairs,
    Workers,
    listed,
)


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Folders of saved models, names of ready-made ones, deepfilternet, or another teacher as "
            "'{onnx: FILE}' (docs/teachers.md)."
        ),
    ],
    on: Annotated[list[Path], typer.Option("--on", help="A folder with noisy/ and clean/; repeat for more.")],
    output: Output,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Of pesq_wb, pesq_nb, stoi, estoi, si_sdr, csig, cbak, covl, seg_snr; cbak_peaks_matched "
            "(the CBAK of the port that MANNER and MV-AT use); with the extra dnsmos also dnsmos_sig, "
            "dnsmos_bak, dnsmos_ovrl; noise_only_db (what is left of the noise alone, dB) and do_no_harm "
            "(pesq_wb of what becomes of the clean speech), for which a clip is enhanced once more each. "
            "Commas between.",
            show_default="the first nine",
        ),
    ] = None,
    workers: Workers = None,
    raw_level: RawLevel = False,
    align: Align = False,
    trust_pairs: TrustPairs = False,
    trust_code: TrustCode = False,
    overwrite: Overwrite = False,
) -> None:
    """Score saved models (and the noisy input) on sets of noisy/clean pairs."""
    from sedistill.evaluation.command import evaluate_models
    from sedistill.evaluation.metrics import DEFAULT_METRICS

    evaluate_models(
        models, on, output, metrics=listed("--metrics", metrics) or DEFAULT_METRICS, workers=workers,
        correct_level=not raw_level, overwrite=overwrite, show=True, align=align, trust_pairs=trust_pairs,
    )  # fmt: skip


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
    from sedistill.evaluation.comparing import compare as run

    run(
        evaluations, output, baseline=baseline, teacher=teacher,
        metrics=listed("--metrics", metrics), methods=listed("--methods", methods),
        overwrite=overwrite, show=True,
    )  # fmt: skip


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
    trust_code: TrustCode = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw over time where DFKD parts low from high bands, of a clip or of what a network makes of it."""
    from sedistill.analyzing import draw_crossover

    found = draw_crossover(
        clip, output, model=model, start=start, seconds=seconds, min_bin=min_bin, overwrite=overwrite
    )
    typer.echo(found.text())
    typer.echo(f"The figure is {output}.")


def advise(
    teacher: Annotated[
        str,
        typer.Option(
            help="Folder of a saved model, a ready-made one's name, deepfilternet, or another teacher as "
            "'{onnx: FILE}' (docs/teachers.md)."
        ),
    ],
    student: Annotated[
        str,
        typer.Option(
            help="A preset's name or a class of another package, which has learnt nothing yet; or the folder "
            "of a saved model, or ready-made:NAME, which is compared with the teacher."
        ),
    ],
    on: Annotated[
        Path, typer.Option("--on", help="A folder with noisy/ and clean/; the recipe validates on it.")
    ],
    train: Annotated[
        Path | None,
        typer.Option(
            help="The set or corpus that the recipe learns from.", show_default="train beside --on, or --on"
        ),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="How many of the set, taken evenly.")] = 24,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a recipe for `sedistill train`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON, for programs.")] = False,
    overwrite: Overwrite = False,
    trust_code: TrustCode = False,
) -> None:
    """Say where a teacher is better and worse than the noisy input and a student, and how to begin."""
    from sedistill.workflows.advising.command import advise as run

    found = run(teacher, student, on, train=train, clips=clips, output=output, overwrite=overwrite)
    print(found.json() if as_json else found.text())
    if output is not None and not as_json:
        print(f"\nThe recipe is {output}: sedistill train {output}")

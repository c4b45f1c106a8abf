"""Commands about recordings: a corpus, and fixed sets of mixtures."""

from pathlib import Path
from typing import Annotated

import typer

from sedistill.cli.shared_options import Align, Output, Overwrite, TrustPairs, Workers, listed


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
    join: Annotated[
        Path | None,
        typer.Option(
            help="An earlier corpus, whose clips are put to the new ones with the splits they have; then "
            "--clean or --noise may be given alone."
        ),
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(
            help="A folder or URL (s3://, gs://, ...) for the audio, in tar files that training reads in "
            "parts; the output then holds the tables alone."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Check every file of a corpus and write a readable manifest."""
    from sedistill.data.preparation import prepare as run

    summary = run(
        output, root=root, clean=clean, noise=noise, noisy=noisy, layout=layout,
        valid_speakers=listed("--valid-speakers", valid_speakers),
        sample_rate=sample_rate, seed=seed, workers=workers, overwrite=overwrite,
        speaker_from=speaker_from, noise_from=noise_from, align=align, trust_pairs=trust_pairs, join=join,
        shards=shards,
    )  # fmt: skip
    typer.echo(summary.text())


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
    from sedistill.common.errors import UserError
    from sedistill.data.grid_sets import grid_settings, write_grid_set
    from sedistill.data.mixed_sets import mix as run
    from sedistill.data.mixing import mixing_settings

    if grid and count is not None:
        raise UserError("--count has no meaning with --grid, which takes every combination; take one out.")
    if grid:
        summary = write_grid_set(
            corpus, output, grid_settings(settings or []), split=split, seed=seed, overwrite=overwrite
        )
    else:
        summary = run(
            corpus, output, split=split, count=count or 300, seed=seed,
            mixing=mixing_settings(settings or []), overwrite=overwrite,
        )  # fmt: skip
    typer.echo(summary.text())

"""Everything in one command, on a corpus made on the spot: sound to student to a page to look at.

Every station is the same function a user's command calls, and leaves its result in a folder of its own. A
station whose result is there already is passed by, so an interrupted demo goes on where it stopped.
"""

import shutil
from pathlib import Path

from sedistill.common.extras import require
from sedistill.workflows.demo.demo_folder import METRICS, NETWORKS, RECIPES, SEED, SETS, SNR_DB, Demo


def make_demo(output: Path | str = "demo", overwrite: bool = False) -> Path:
    """Make a corpus, train a student alone and with a teacher, evaluate, enhance a file, write report.html.

    Returns the page's path. Raises UserError when `output` holds something that is no demo, or a demo made
    by other code, and when a package of the `demo` extra is missing.
    """
    require_packages()
    demo = Demo(Path(output))
    with demo.alone():
        demo.claim(overwrite)
        make_corpus(demo)
        mix_sets(demo)
        train_networks(demo)
        evaluate(demo)
        enhance_one(demo)
        return write_report(demo)


def require_packages() -> None:
    """Refuse at the start, not after minutes, when a package of the extra is missing."""
    packages = ("espeakng_loader", "tensorboard", "pesq", "pystoi", "matplotlib", "jinja2")
    require(packages, "demo", "the demo")


def make_corpus(demo: Demo) -> None:
    from sedistill.data.preparation import prepare
    from sedistill.workflows.demo.demo_corpus import make_demo_corpus

    recordings, corpus = demo.place("recordings"), demo.place("corpus")
    with demo.station("Speech and noise, made on the spot"):
        shutil.copytree(RECIPES, demo.place("recipes"), dirs_exist_ok=True)
        if not recordings.exists():
            made = make_demo_corpus(recordings, SEED)
            print(
                f"{made.speech_minutes:.1f} min of speech by {made.voices} synthetic voices, "
                f"{made.noise_minutes:.1f} min of {made.noise_classes} kinds of noise"
            )
        if not corpus.exists():
            print(prepare(corpus, root=recordings, seed=SEED).text())


def mix_sets(demo: Demo) -> None:
    from sedistill.data.mixed_sets import mix
    from sedistill.data.mixing import MixingSettings

    with demo.station("Mixtures of both, for training, validation and test"):
        for split, (count, seconds) in SETS.items():
            mixing = MixingSettings(snr_db_low=SNR_DB[0], snr_db_high=SNR_DB[1], clip_seconds=seconds)
            place = demo.place(f"sets/{split}")
            if not place.exists():
                made = mix(demo.place("corpus"), place, split, count, SEED, mixing)
                print(made.text())


def train_networks(demo: Demo) -> None:
    from sedistill.training.run import train

    titles = {
        "alone": "The student learns alone",
        "distilled": "The same student learns from the teacher too",
    }
    for run, title in titles.items():
        with demo.station(title):
            recipe, overrides = demo.recipe_arguments(run)
            train(recipe, overrides, output=demo.place(f"runs/{run}"))


def evaluate(demo: Demo) -> None:
    from sedistill.evaluation.command import kept_scores

    with demo.station("All of them on mixtures they never met"):
        models = [demo.network(run) for run in NETWORKS]
        kept_scores(demo.place("evaluation"), models, demo.place("sets/test"), METRICS)


def enhance_one(demo: Demo) -> None:
    """One noisy file through the distilled student, as `sedistill enhance` does it."""
    from sedistill.inference.enhancing import enhance_files

    with demo.station("One file enhanced, and the page"):
        noisy = min(demo.place("sets/test/noisy").iterdir())
        enhance_files(
            demo.network("distilled"), [noisy], demo.place("enhanced.flac"), device="cpu", overwrite=True
        )


def write_report(demo: Demo) -> Path:
    from sedistill.workflows.demo.report_data import demo_page

    path = demo.place("report.html")
    page = demo_page(demo)
    page.write(path)
    print(f"\n{page.for_terminal()}\n\nThe page with tables, curves, pictures and sound: {path.absolute()}")
    return path

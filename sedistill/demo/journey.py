"""The whole journey in one command, on a corpus made on the spot: sound to student to a page to look at.

Every station is the same function a user's command calls, and leaves its result in a folder of its own. A
station whose result is there already is passed by, so an interrupted demo goes on where it stopped.
"""

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

import sedistill
from sedistill.errors import UserError
from sedistill.writing import atomic_path, is_empty_folder, named_disk_errors

RECIPES = Path(__file__).parent / "recipes"
STATIONS = 7
SEED = 0
METRICS = ("si_sdr", "pesq_wb", "stoi")
MARKER = "demo.yaml"

# Clips about as long as the sentences, in noise heavy enough that minutes of training can be heard.
SNR_DB = (0.0, 15.0)
SETS = {"train": (800, 2.0), "valid": (40, 3.0), "test": (60, 3.0)}  # clips, seconds each


def run_demo(output: Path | str = "demo", overwrite: bool = False) -> Path:
    """Make a corpus, train teacher and students, evaluate, enhance a file, and write report.html.

    Returns the page's path. Raises UserError when `output` holds something that is no demo, or a demo made
    by other code, and when a package of the `demo` extra is missing.
    """
    require_packages()
    demo = Demo(Path(output))
    demo.claim(overwrite)
    make_corpus(demo)
    mix_sets(demo)
    train_networks(demo)
    evaluate(demo)
    enhance_one(demo)
    return write_report(demo)


@dataclass
class Demo:
    """Where everything lies, and how long each station took over all attempts."""

    folder: Path
    minutes: dict[str, float] = field(default_factory=dict)
    stations_begun: int = 0

    def place(self, name: str) -> Path:
        return self.folder / name

    def student(self, run: str) -> Path:
        return self.folder / "runs" / run / "student"

    def recipe_arguments(self, run: str) -> tuple[Path, list[str]]:
        """The recipe of a run and what the demo fills in, as `sedistill train` gets them."""
        paths = {"data.train": self.place("sets/train"), "data.valid": self.place("sets/valid")}
        if run == "distilled":
            paths["teacher"] = self.student("teacher")
        return self.place(f"recipes/{run}.yaml"), [
            f"{key}={json.dumps(str(path))}" for key, path in paths.items()
        ]

    def claim(self, overwrite: bool) -> None:
        """Take the folder: a new or empty one, or an earlier demo of the same code to go on with."""
        marker = self.place(MARKER)
        if self.folder.exists() and not marker.exists() and not is_empty_folder(self.folder):
            raise UserError(f"{self.folder} exists and is no demo; choose another place with --output.")
        if overwrite and marker.exists():
            shutil.rmtree(self.folder)
        if marker.exists():
            written = yaml.safe_load(marker.read_text(encoding="utf-8"))
            if written["made_by"] != made_by():
                raise UserError(f"{self.folder} is a demo of other code; say --overwrite to make it anew.")
            self.minutes = written["minutes"]
            print(f"Going on with the demo in {self.folder}; what is finished is kept.")
        self._save()

    @contextmanager
    def station(self, title: str) -> Iterator[None]:
        """Announce a station, and count its minutes even when it is interrupted."""
        self.stations_begun += 1
        minutes = sum(self.minutes.values())
        print(f"\n[{self.stations_begun}/{STATIONS}] {title}  ({minutes:.1f} min so far)", flush=True)
        started = time.monotonic()
        try:
            yield
        finally:
            taken = (time.monotonic() - started) / 60
            self.minutes[title] = round(self.minutes.get(title, 0.0) + taken, 3)
            self._save()

    def _save(self) -> None:
        with named_disk_errors(self.folder), atomic_path(self.place(MARKER)) as temporary:
            facts = {"made_by": made_by(), "seed": SEED, "minutes": self.minutes}
            temporary.write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")


def made_by() -> dict[str, str]:
    """What decides the demo's results: the version and the recipes."""
    recipes = "".join(path.read_text(encoding="utf-8") for path in sorted(RECIPES.glob("*.yaml")))
    digest = hashlib.sha256((recipes + repr((SETS, SNR_DB, METRICS))).encode()).hexdigest()
    return {"sedistill": sedistill.__version__, "recipes": digest[:12]}


def require_packages() -> None:
    """Refuse at the start, not after minutes, when a package of the extra is missing."""
    from importlib.util import find_spec

    needed = ("espeakng_loader", "tensorboard", "pesq", "pystoi", "matplotlib", "jinja2")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise UserError(f"the demo needs {', '.join(missing)}; type: pip install 'sedistill[demo]'")


def make_corpus(demo: Demo) -> None:
    from sedistill.data.prepare import prepare
    from sedistill.demo.corpus import make_demo_corpus

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
    from sedistill.data.fixed_sets import write_fixed_set
    from sedistill.data.mixing import MixingSettings

    with demo.station("Mixtures of both, for training, validation and test"):
        for split, (count, seconds) in SETS.items():
            mixing = MixingSettings(snr_db_low=SNR_DB[0], snr_db_high=SNR_DB[1], clip_seconds=seconds)
            place = demo.place(f"sets/{split}")
            if not place.exists():
                made = write_fixed_set(demo.place("corpus"), place, split, count, SEED, mixing)
                print(made.text())


def train_networks(demo: Demo) -> None:
    from sedistill.training.run import train

    titles = {
        "teacher": "The teacher learns",
        "alone": "The student learns alone",
        "distilled": "The same student learns from the teacher too",
    }
    for run, title in titles.items():
        with demo.station(title):
            recipe, overrides = demo.recipe_arguments(run)
            train(recipe, overrides, output=demo.place(f"runs/{run}"))


def evaluate(demo: Demo) -> None:
    from sedistill.evaluation.evaluate import evaluate_models

    with demo.station("All of them on mixtures they never met"):
        if not demo.place("evaluation").exists():
            models = [demo.student(run) for run in ("alone", "distilled", "teacher")]
            evaluate_models(models, [demo.place("sets/test")], demo.place("evaluation"), metrics=METRICS)


def enhance_one(demo: Demo) -> None:
    """One noisy file through the distilled student, as `sedistill enhance` does it."""
    from sedistill.enhancing import enhance_files

    with demo.station("One file enhanced, and the page"):
        noisy = min(demo.place("sets/test/noisy").iterdir())
        enhance_files(
            demo.student("distilled"), [noisy], demo.place("enhanced.flac"), device="cpu", overwrite=True
        )


def write_report(demo: Demo) -> Path:
    from sedistill.demo.story import demo_report, spoken_summary
    from sedistill.report.page import write_page

    path = demo.place("report.html")
    report = demo_report(demo)
    write_page(report, path)
    print(
        f"\n{spoken_summary(report)}\n\nThe page with tables, curves, pictures and sound: {path.absolute()}"
    )
    return path


def hardware() -> str:
    """The processor's name and how many cores this process may use."""
    import torch

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} torch threads, no GPU used"

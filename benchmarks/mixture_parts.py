"""What a mixture of 4 s costs, by parts: CPU ms a mixture that each takes itself, without what it calls.

    python benchmarks/mixture_parts.py --data FOLDER [--mixtures 150] [--output FOLDER]

FOLDER holds clean/ and noise/ (also SEDISTILL_DATA). Each mixture is made five times, and the round of which
the whole took least counts; files are in the page cache. Looking at the clock adds some 5 %.
"""

import argparse
import functools
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from results_csv import RESULTS, write_results

from sedistill.audio import files, levels
from sedistill.data import corpus, rendering
from sedistill.data.mix_sources import Material
from sedistill.data.mixing import MixingSettings
from sedistill.data.preparation import prepare

PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "decoding: opened, sought, decoded, closed": (
        (files._Sequential, "__init__"),
        (files, "_go_to"),
        (files, "_read_next"),
        (files._Sequential, "close"),
    ),
    "levels of speech and noise": ((levels, "rms_and_active_level_db"),),
    "what a file is, NaN, channels, offset": (
        (files, "_open"),
        (files, "is_plain_file"),
        (files, "to_mono"),
        (corpus, "read_mono"),
        (corpus.Corpus, "read"),
    ),
    "drawing": ((rendering, "plan_mixture"),),
    "gains, sum, clipping": ((rendering, "mix_at_snr"),),
    "joining noise, placing speech": (
        (rendering, "join"),
        (rendering, "_read_noise"),
        (rendering, "_placed"),
    ),
    "the rest": ((rendering, "render_one_of"), (rendering, "_render")),
}
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SEDISTILL_DATA"))
    parser.add_argument("--mixtures", type=int, default=150)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data FOLDER, or SEDISTILL_DATA")
    data = Path(options.data)
    with tempfile.TemporaryDirectory() as temporary:
        prepare(Path(temporary) / "corpus", clean=data / "clean", noise=data / "noise")
        material = Material(corpus.Corpus.load(Path(temporary) / "corpus").split("train"))
        spent = by_parts(material, options.mixtures)
    rows = [{"what": part, "ms": round(1e3 * spent[part] / options.mixtures, 3)} for part in PARTS]
    for row in rows:
        print(f"{row['ms']:>7} ms  {row['what']}")
    write_results(rows, options.output / "mixture-parts.csv")


def by_parts(material: Material, mixtures: int) -> Counter[str]:
    """CPU seconds of all mixtures, by part."""
    spent: Counter[str] = Counter()
    inner = [0.0]
    for part, functions in PARTS.items():
        for place, name in functions:
            setattr(place, name, timed(getattr(place, name), part, spent, inner))
    total: Counter[str] = Counter()
    for index in range(mixtures):
        rounds = []
        for _ in range(ROUNDS):
            spent.clear()
            rendering.make_mixture(0, 0, index, material, MixingSettings())
            rounds.append(Counter(spent))
        total += min(rounds, key=lambda one: sum(one.values()))
    return total


def timed(function: Any, part: str, spent: Counter[str], inner: list[float]) -> Any:
    """`function`, whose time less that of what it calls is added to its part."""

    @functools.wraps(function)
    def measured(*values: Any, **named: Any) -> Any:
        inner.append(0.0)
        began = time.thread_time()
        try:
            return function(*values, **named)
        finally:
            took = time.thread_time() - began
            spent[part] += took - inner.pop()
            inner[-1] += took

    return measured


if __name__ == "__main__":
    main()

"""Made-up data for a page: what the tests render, and what one looks at while changing the page."""

import numpy as np

from sedistill.common.report.figures import BinsPanel, Curve, CurveFigure
from sedistill.evaluation.scores import NOISY, ClipScore, SetScores
from sedistill.workflows.training_page import Player, System, Track, TrainingPage

RATE, BINS, FRAMES = 16_000, 257, 250


def example_page() -> TrainingPage:
    rng = np.random.default_rng(0)
    taught = np.repeat(rng.random((13, FRAMES)) > 0.2, 20, axis=0)[:BINS]
    crossover = np.clip(8 + 5 * rng.standard_normal(FRAMES), 0, 255).astype(int)
    where = {"bin_hz": 31.25, "frame_seconds": 0.008}
    names = ("noisy", "clean", "teacher", "student alone", "distilled student")
    return TrainingPage(
        title="A small network learns from a large one",
        summary="A teacher of 517 k parameters showed a student of 36 k how to clean speech. Beside it "
        "stands the same student trained alone: same data, same steps, same first weights.",
        scores=_scores(rng),
        systems=[
            System("noisy", NOISY),
            System("alone", "alone", 36_412, 26.3e6),
            System("distilled", "distilled", 36_412, 26.3e6),
            System("teacher", "teacher", 517_003, 401e6),
        ],
        curves=[_learning(rng), _terms(rng)],
        spectrograms=[
            *(BinsPanel(name, _level(rng), **where) for name in names),
            BinsPanel("what was distilled", _level(rng), **where, taught=taught, crossover=crossover),
        ],
        gap=BinsPanel("Knowledge gap", rng.standard_normal((BINS, FRAMES)) ** 3, **where, taught=taught),
        players=[
            Player(
                f"Clip {n}: rain at {n} dB",
                RATE,
                [
                    Track("noisy", _tone(rng), "5.10 · 1.34 · 0.766"),
                    *(Track(role, _tone(rng)) for role in ("alone", "distilled", "teacher", "clean")),
                ],
            )
            for n in (1, 2)
        ],
        reading=[
            "SI-SDR says how much of the output is the speech that went in. <Nothing> more & nothing less."
        ],
        commands=[("check the recordings", "sedistill prepare --clean speech/ --noise noise/ -o corpus")],
        legend=[("#8a8f98", "Veiled: not distilled."), ("#35cfb4", "The crossover.")],
        facts=[("seed", "0"), ("minutes", "7.4"), ("hardware", "2 cores of a kind")],
    )


MEANS = {
    NOISY: (5.07, 1.335, 0.766), "alone": (7.2, 1.267, 0.752), "distilled": (7.03, 1.27, 0.751),
    "teacher": (9.95, 1.505, 0.794),
}  # fmt: skip
SPREADS, KNOWN = {"si_sdr": 2.1, "pesq_wb": 0.2, "stoi": 0.05}, {"si_sdr": 60, "pesq_wb": 58, "stoi": 60}


def _scores(rng: np.random.Generator) -> SetScores:
    """60 clips with these means and spreads; on two of them PESQ is undefined."""
    around = {metric: rng.standard_normal(known) for metric, known in KNOWN.items()}
    values = {
        model: {
            metric: np.pad(mean + SPREADS[metric] * (one - one.mean()) / one.std(ddof=1), (0, 60 - len(one)),
                           constant_values=np.nan)
            for (metric, one), mean in zip(around.items(), means, strict=True)
        }
        for model, means in MEANS.items()
    }  # fmt: skip
    clips = [
        ClipScore(model, f"clip{i}", 2.0, 5.0, "rain", {metric: float(one[i]) for metric, one in of.items()})
        for model, of in values.items()
        for i in range(60)
    ]
    return SetScores("test", list(KNOWN), clips, {})


def _learning(rng: np.random.Generator) -> CurveFigure:
    steps = np.arange(100, 1300, 100)

    def rising(label: str, role: str, top: float) -> Curve:
        return Curve(label, role, steps, top * (1 - np.exp(-steps / 300)) + 0.1 * rng.standard_normal(12))

    curves = [
        rising("teacher", "teacher", 11),
        rising("alone", "alone", 8),
        rising("distilled", "distilled", 8),
    ]
    return CurveFigure("Validation SI-SNR", "dB", curves, "Mean over 40 clips the networks never train on.")


def _terms(rng: np.random.Generator) -> CurveFigure:
    steps = np.arange(20, 1220, 20)
    curves = [Curve("KD term", "distilled", steps, np.exp(-steps / 500) + 0.02 * rng.standard_normal(60))]
    return CurveFigure("Loss of the distilled student", "KD term", curves)


def _level(rng: np.random.Generator) -> np.ndarray:
    hills = np.outer(np.hanning(BINS), np.sin(np.arange(FRAMES) / 9) ** 2)
    return 40 * hills - 60 + 3 * rng.standard_normal((BINS, FRAMES))


def _tone(rng: np.random.Generator) -> np.ndarray:
    return np.float32(0.2) * np.sin(np.arange(2 * RATE) * rng.uniform(0.05, 0.2)).astype(np.float32)

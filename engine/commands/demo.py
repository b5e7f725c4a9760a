"""`monosem demo`: the whole of monosem on a small scale, from the text that every Python brings along."""

from __future__ import annotations

from engine.commands.train import train
from engine.commands.train_lm import LmReport, train_lm
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query.showcase import candidates
from store.rules.kind_file import measured_kinds
from store.rules.rule_run import planned, work
from store.run.folder import RunFolder
from store.settings.explain import ExplainSettings
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings

LM = LmSettings(data="stdlib", vocab=2048, tokens=3_600_000, context=128)
"""The one-layer transformer of Bricken et al. 2023. At this size a small vocabulary learns more per second: 1.32 nats
per character after two minutes on two cores, against 1.33 with 4 096 tokens (docs/log.md)."""
SAE = TrainSettings(
    data="stdlib", layer=0, site="mlp_act", arch="topk", d_sae=2048, k=16, tokens=1_200_000, index_tokens=400_000
)
"""Features of its MLP, as in the paper."""
SHOWN = 10
"""Features to show at the end, of those that are explained well."""


def make_demo(run: RunFolder, progress: Progress) -> LmReport | None:
    """Fill a run folder with model, autoencoder, evaluation and index; what is there already is kept.

    Interrupted at any moment, the next call goes on. Return the model's report where this call trained it.
    """
    report = None
    if not run.model.is_dir():
        begun = run.exists() and "lm" in run.record().config
        report = train_lm(run, LmSettings() if begun else LM, progress, resume=begun)
        if report is not None:
            progress.say(
                f"the model's held-out loss is {report.held_out_loss:.2f} nats a token; "
                f"knowing only token frequencies, it would be {report.unigram_entropy:.2f}"
            )
    if not run.features.is_file():
        begun = "train" in run.record().config
        train(run, TrainSettings() if begun else SAE.changed(model=str(run.path)), progress, resume=begun)
    _explain(run, progress)
    return report


def _explain(run: RunFolder, progress: Progress) -> None:
    """Measure kinds, and explain some features of each by rules, so that those shown are well explained ones."""
    try:
        with progress.task("measuring kinds", run.record().spec.d_sae, "features") as task:
            kinds = measured_kinds(run.path, advance=task.advance)
        with FeatureStore.open(run.path) as store:
            plan = planned(run.path, candidates(store.columns, kinds, SHOWN).tolist(), ExplainSettings())
        with progress.task("explaining", len(plan.features), "features") as task:
            for _ in work(plan):
                task.advance(1)
    except MonosemError as error:  # the demo is there all the same, as of a text too short to be halved
        progress.say(f"features are not explained: {error.what}")

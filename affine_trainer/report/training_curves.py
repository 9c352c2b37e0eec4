"""The training curves a report shows: which metrics of the event stream share a panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from affine_trainer.report.run_files import EventLog, RunFiles


@dataclass(frozen=True, slots=True)
class Line:
    """One metric over the steps of a stage; `sparse` ones, validations, are drawn as points and dashes."""

    metric: str
    label: str
    steps: list[int]
    values: list[float]
    sparse: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One small plot; `stage` decides its colour, `note` says how to read it."""

    name: str
    stage: str
    title: str
    note: str
    lines: tuple[Line, ...]


# Name, title, note, and (metric, label) of each line.
SFT = (
    ("sft_loss", "SFT loss", "mean negative log-likelihood of a scored token",
     (("sft/train_loss", "training"), ("sft/eval_loss", "validation"))),
    ("sft_perplexity", "SFT perplexity", "exp of the validation loss; 1 is certainty",
     (("sft/perplexity", "validation"),)),
    ("sft_learning_rate", "SFT learning rate", "of AdamW", (("sft/learning_rate", "learning rate"),)),
)  # fmt: skip
RL = (
    ("rl_reward", "RL reward", "mean score of an episode",
     (("rl/reward", "practice"), ("validation/reward", "validation"))),
    ("rl_success", "RL success", "share of episodes that the environment calls solved",
     (("rl/success", "practice"), ("validation/success", "validation"))),
    ("rl_kl", "KL to the SFT model", "nats a token, estimator k3",
     (("rl/kl_divergence", "to the SFT model"), ("rl/approx_kl", "of one iteration"))),
    ("rl_entropy", "Entropy", "nats a sampled token", (("rl/entropy", "entropy"),)),
    ("rl_clip_fraction", "Clip fraction", "share of tokens whose ratio was clipped",
     (("rl/clip_fraction", "clip fraction"),)),
    ("rl_explained_variance", "Explained variance", "of returns by the critic; 1 is perfect, 0 knows nothing",
     (("rl/explained_variance", "explained variance"),)),
    ("rl_advantages", "Advantages", "of an iteration's action tokens, before they are normalised",
     (("rl/advantages", "mean"), ("rl/advantages_std", "deviation"))),
    ("rl_losses", "Losses", "of the policy and of the critic",
     (("rl/policy_loss", "policy"), ("rl/value_loss", "value"))),
    ("rl_learning_rate", "RL learning rate", "of the policy", (("rl/learning_rate", "learning rate"),)),
)  # fmt: skip


def curve_panels(run: RunFiles) -> list[Panel]:
    """The panels for which the run logged anything, SFT's first."""
    return [*_panels(run.sft, "sft", SFT), *_panels(run.rl, "rl", RL)]


def _panels(log: EventLog | None, stage: str, table: tuple) -> Iterator[Panel]:
    if log is None:
        return
    for name, title, note, metrics in table:
        lines = tuple(
            Line(metric, label, steps, values, sparse=label == "validation")
            for metric, label in metrics
            for steps, values in [log.series(metric)]
            if steps
        )
        if lines:
            yield Panel(name, stage, title, note, lines)

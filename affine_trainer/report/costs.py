"""What a run cost: seconds and tokens of each stage, and of RL by what was done."""

from __future__ import annotations

from dataclasses import dataclass

from affine_trainer.artifacts import Manifest
from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.traced import Traced

RL_PHASES = ("generate", "grade", "score", "update", "validation")


@dataclass(frozen=True, slots=True)
class Phase:
    """What one stage cost; `tokens` is None where no model ran, or none was counted.

    `did` says what was done with these tokens, `read` counts the prompt tokens beside them.
    """

    name: str
    seconds: Traced
    did: str = ""
    tokens: Traced | None = None
    read: Traced | None = None
    rate: Traced | None = None


def phases(run: RunFiles) -> list[Phase]:
    """The finished stages in the order of the pipeline, from manifests, events and evaluations."""
    found = []
    for folder, (manifest, entry) in run.stages.items():
        seconds = entry["metrics"].get("seconds")
        if seconds is not None and not folder.endswith("rl_final"):  # written by the same run as rl_best
            found.append(_phase(run, folder, manifest, entry["metrics"], seconds))
    return found


def rl_phases(run: RunFiles) -> list[tuple[str, Traced]]:
    """Seconds of RL by what was done in them, summed over its iterations."""
    totals = [(name, run.rl.total(f"time/{name}")) for name in RL_PHASES] if run.rl else []
    return [(name, total) for name, total in totals if total is not None]


def _phase(run: RunFiles, folder: str, manifest: Manifest, metrics: Traced, seconds: Traced) -> Phase:
    if manifest.stage == "rl" and run.rl is not None:
        rate = run.rl.last("rl/tokens_per_second")
        return Phase("rl", seconds, "sampled to learn from", run.rl.total("rl/tokens"), None, rate)
    rate = metrics.get("tokens_per_second")
    if manifest.stage == "eval":
        usage = _usage(run, folder)
        tokens, read = (usage and usage.get(f"{kind}_tokens") for kind in ("completion", "prompt"))
        return Phase(f"eval {folder.rpartition('/')[2]}", seconds, "sampled", tokens, read, rate)
    return Phase(manifest.stage, seconds, "trained on", metrics.get("tokens"), None, rate)


def _usage(run: RunFiles, folder: str) -> Traced | None:
    """The tokens that the evaluation in `folder` counted."""
    found = [entry for entry in run.evaluations.values() if entry.where == f"{folder}/evaluation.json#"]
    return found[0].get("usage") if found else None

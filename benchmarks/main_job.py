"""The main job's claim, measured: base, SFT, RL and a control, over seeds, greedy and at temperature 0.7.

    python benchmarks/main_job.py --seeds 0 1 2 --out logs/main_job.json

For each seed it runs the pipeline, then the control: SFT from the base model on the same data for as long as
SFT and RL took together (`--no-control` leaves it out). Every model meets the same evaluation tasks;
`--single-turn` evaluates on these alone, greedily too. Resumable: finished stages are skipped.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from affine_trainer.report.pairing import pair_evaluations, read_evaluation
from affine_trainer.stats import macro_difference, paired_difference

SINGLE_TURN = ("affine:sat", "affine:abd", "affine:ded")
AGENTS = (
    "agentgym:babyai",
    "agentgym:sciworld",
    "agentgym:textcraft",
    "agentgym:alfworld",
    "agentgym:webshop",
)
GROUPS = {"macro of 3": SINGLE_TURN, "macro of 8": (*SINGLE_TURN, *AGENTS)}
PAIRS = (("sft", "base"), ("rl", "base"), ("rl", "sft"), ("rl", "control"))
ALONE = "data.agentgym.environments=[]"
TEMPERATURES = {0.0: (), 0.7: (ALONE,)}  # sampled: the single-turn ones alone
COLUMNS = (*SINGLE_TURN, "macro of 3", *AGENTS, "sciworld score", "macro of 8")
DRAWS = 10_000  # of the bootstrap


def affine(*words: str, options: list[str]) -> None:
    """Run one command of the program; its own output stays visible."""
    command = [sys.executable, "-c", "from affine_trainer.cli import main; main()", *words]
    for option in options:
        command += ["--set", option]
    print("$ affine", " ".join(command[3:]), flush=True)
    subprocess.run(command, check=True)


def manifest(path: Path) -> dict[str, Any]:
    """What a finished stage recorded."""
    return json.loads((path / "manifest.json").read_text())


def train(run: str, seed: int, options: list[str]) -> None:
    """Collect, SFT and RL of one seed."""
    for stage in ("collect", "sft", "rl"):
        affine(stage, options=[f"run={run}", f"seed={seed}", *options])


def train_control(run: str, seed: int, options: list[str]) -> None:
    """SFT on the same data for the time that SFT and RL took together, as more epochs of one schedule."""
    sft, rl = manifest(Path("models") / run / "sft_final"), manifest(Path("models") / run / "rl_best")
    ratio = 1.0 + rl["metrics"]["seconds"] / sft["metrics"]["seconds"]
    epochs = math.ceil(ratio * sft["config"]["training"]["num_epochs"])
    data, control = Path("data") / run, Path("data") / f"{run}-control"
    if not control.exists():
        shutil.copytree(data, control)
    affine("sft", options=[f"run={run}-control", f"seed={seed}", f"training.num_epochs={epochs}", *options])


def evaluate(run: str, seed: int, temperature: float, options: list[str]) -> dict[str, Path]:
    """Evaluate the models that there are at one temperature; returns the folder of each."""
    where = run if temperature == 0.0 else f"{run}-t{temperature}"
    models = {
        "base": "base",
        "sft": f"models/{run}/sft_final",
        "rl": f"models/{run}/rl_best",
        "control": f"models/{run}-control/sft_final",
    }
    chosen = [f"evaluation.temperature={temperature}", *TEMPERATURES[temperature]]
    common = [f"run={where}", f"seed={seed}", *chosen, *options]
    folders = {}
    for label, model in models.items():
        if label == "control" and not Path(model).exists():
            continue
        affine("eval", "--model", model, options=common)
        name = "base" if label == "base" else model.replace("/", "-")
        folders[label] = Path("logs") / where / "eval" / name
    return folders


def compared(candidate: Path, baseline: Path) -> dict[str, dict[str, float]]:
    """Paired differences of success in every environment and in groups of them, with 80 % intervals.

    Of sciworld, whose tasks are too long to be solved, also the difference of scores.
    """
    pairs = pair_evaluations(*(read_evaluation(folder, folder.name) for folder in (candidate, baseline)))
    found = {
        name: paired_difference(pair.candidate_success, pair.baseline_success, samples=DRAWS)
        for name, pair in pairs.items()
    }
    if "agentgym:sciworld" in pairs:
        sciworld = pairs["agentgym:sciworld"]
        found["sciworld score"] = paired_difference(
            sciworld.candidate_score, sciworld.baseline_score, samples=DRAWS
        )
    for label, names in GROUPS.items():
        if set(names) <= set(pairs):
            members = [(pairs[name].candidate_success, pairs[name].baseline_success) for name in names]
            found[label] = macro_difference(members, samples=DRAWS)
    return {
        name: {
            "difference": each.estimate,
            "lower": each.interval.lower,
            "upper": each.interval.upper,
        }
        for name, each in found.items()
    }


def measure(seed: int, options: list[str], *, control: bool, single_turn: bool) -> dict[str, Any]:
    """All figures of one seed."""
    run = f"main-job-{seed}"
    train(run, seed, options)
    if control:
        train_control(run, seed, options)
    figures: dict[str, Any] = {"seed": seed, "seconds": {}, "temperatures": {}}
    for stage in ("sft_final", "rl_best"):
        figures["seconds"][stage] = manifest(Path("models") / run / stage)["metrics"]["seconds"]
    if control:
        trained = manifest(Path("models") / f"{run}-control" / "sft_final")
        figures["seconds"]["control"] = trained["metrics"]["seconds"]
    for temperature in TEMPERATURES:
        folders = evaluate(run, seed, temperature, [*options, *((ALONE,) if single_turn else ())])
        success = {label: success_rates(folder) for label, folder in folders.items()}
        pairs = {f"{a} - {b}": compared(folders[a], folders[b]) for a, b in PAIRS if b in folders}
        figures["temperatures"][str(temperature)] = {"success": success, "comparisons": pairs}
    return figures


def success_rates(folder: Path) -> dict[str, float]:
    """Success by environment, the mean score of sciworld, and means over groups of environments."""
    summary = json.loads((folder / "evaluation.json").read_text())
    entries = summary["per_environment"]
    rates = {name: entry["accuracy"] for name, entry in entries.items()}
    if "agentgym:sciworld" in entries:
        rates["sciworld score"] = entries["agentgym:sciworld"]["mean_score"]
    for label, names in GROUPS.items():
        if set(names) <= set(rates):
            rates[label] = sum(rates[name] for name in names) / len(names)
    return rates


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: success of every model, then the paired differences in points."""
    names = [name for name in COLUMNS if name in results[0]["temperatures"]["0.0"]["success"]["base"]]
    heads = " | ".join(name.partition(":")[2] or name for name in names)
    lines = [f"| seed | T | model | {heads} |", "|---|---|---|" + "---|" * len(names)]
    for result in results:
        for temperature, found in result["temperatures"].items():
            for label, rates in found["success"].items():
                cells = " | ".join(f"{rates[name]:.3f}" if name in rates else "" for name in names)
                lines.append(f"| {result['seed']} | {temperature} | {label} | {cells} |")
    lines += ["", f"| seed | T | difference | {heads} |", "|---|---|---|" + "---|" * len(names)]
    for result in results:
        for temperature, found in result["temperatures"].items():
            for pair, entries in found["comparisons"].items():
                cells = " | ".join(points(entries[name]) if name in entries else "" for name in names)
                lines.append(f"| {result['seed']} | {temperature} | {pair} | {cells} |")
    return "\n".join(lines)


def points(entry: dict[str, Any]) -> str:
    """A difference with its interval, in percentage points."""
    return f"{100 * entry['difference']:+.1f} [{100 * entry['lower']:+.1f}, {100 * entry['upper']:+.1f}]"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="options", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--single-turn", action="store_true", help="evaluate on these alone")
    parser.add_argument("--out", type=Path, default=Path("logs/main_job.json"))
    args = parser.parse_args()
    results = []
    for seed in args.seeds:
        found = measure(seed, args.options, control=not args.no_control, single_turn=args.single_turn)
        results.append(found)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=2) + "\n")
        print(table(results), flush=True)


if __name__ == "__main__":
    main()

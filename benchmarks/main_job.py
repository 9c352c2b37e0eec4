"""The main job's claim, measured: base, SFT, RL and a control, over seeds, greedy and at temperature 0.7.

    python benchmarks/main_job.py --seeds 0 1 2 --out logs/main_job.json

For each seed it runs the pipeline, then the control: SFT from the base model on the same data for as long as
SFT and RL took together. Every model meets the same evaluation tasks. Resumable: finished stages are skipped.
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

ENVIRONMENTS = ("affine:sat", "affine:abd", "affine:ded")
PAIRS = (("sft", "base"), ("rl", "base"), ("rl", "sft"), ("rl", "control"))
TEMPERATURES = (0.0, 0.7)


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
    """Evaluate the four models at one temperature; returns the folder of each."""
    where = run if temperature == 0.0 else f"{run}-t{temperature}"
    models = {
        "base": "base",
        "sft": f"models/{run}/sft_final",
        "rl": f"models/{run}/rl_best",
        "control": f"models/{run}-control/sft_final",
    }
    common = [f"run={where}", f"seed={seed}", f"evaluation.temperature={temperature}", *options]
    folders = {}
    for label, model in models.items():
        affine("eval", "--model", model, options=common)
        name = "base" if label == "base" else model.replace("/", "-")
        folders[label] = Path("logs") / where / "eval" / name
    return folders


def compared(
    candidate: Path, baseline: Path, run: str, temperature: float, options: list[str]
) -> dict[str, Any]:
    """The comparison of two evaluations, as the program writes it."""
    name = f"{run}-t{temperature}-{candidate.name}-over-{baseline.name}".replace("models-", "")
    affine("compare", str(candidate), str(baseline), options=[f"run={name}", *options])
    result = json.loads((Path("logs") / name / "compare" / "comparison.json").read_text())
    [found] = result["baselines"].values()
    return found


def measure(seed: int, options: list[str]) -> dict[str, Any]:
    """All figures of one seed."""
    run = f"main-job-{seed}"
    train(run, seed, options)
    train_control(run, seed, options)
    figures: dict[str, Any] = {"seed": seed, "seconds": {}, "temperatures": {}}
    for stage in ("sft_final", "rl_best"):
        figures["seconds"][stage] = manifest(Path("models") / run / stage)["metrics"]["seconds"]
    control = manifest(Path("models") / f"{run}-control" / "sft_final")
    figures["seconds"]["control"] = control["metrics"]["seconds"]
    for temperature in TEMPERATURES:
        folders = evaluate(run, seed, temperature, options)
        success = {label: success_rates(folder) for label, folder in folders.items()}
        pairs = {f"{a} - {b}": compared(folders[a], folders[b], run, temperature, options) for a, b in PAIRS}
        figures["temperatures"][str(temperature)] = {"success": success, "comparisons": pairs}
    return figures


def success_rates(folder: Path) -> dict[str, float]:
    """Success by environment and their mean."""
    summary = json.loads((folder / "evaluation.json").read_text())
    rates = {name: entry["accuracy"] for name, entry in summary["per_environment"].items()}
    return rates | {"macro": sum(rates[name] for name in ENVIRONMENTS) / len(ENVIRONMENTS)}


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: success of every model, then the paired differences in points."""
    names = (*ENVIRONMENTS, "macro")
    lines = [f"| seed | T | model | {' | '.join(names)} |", "|---|---|---|" + "---|" * len(names)]
    for result in results:
        for temperature, found in result["temperatures"].items():
            for label, rates in found["success"].items():
                cells = " | ".join(f"{rates[name]:.3f}" for name in names)
                lines.append(f"| {result['seed']} | {temperature} | {label} | {cells} |")
    lines += [
        "",
        "| seed | T | difference | " + " | ".join(names) + " |",
        "|---|---|---|" + "---|" * len(names),
    ]
    for result in results:
        for temperature, found in result["temperatures"].items():
            for pair, comparison in found["comparisons"].items():
                entries = [
                    *(comparison["per_environment"][name] for name in ENVIRONMENTS),
                    comparison["macro"],
                ]
                lines.append(
                    f"| {result['seed']} | {temperature} | {pair} | {' | '.join(map(points, entries))} |"
                )
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
    parser.add_argument("--out", type=Path, default=Path("logs/main_job.json"))
    args = parser.parse_args()
    results = []
    for seed in args.seeds:
        results.append(measure(seed, args.options))
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=2) + "\n")
        print(table(results), flush=True)


if __name__ == "__main__":
    main()

"""`affine experiment`: every overlay with every seed, what they share done once, and one table at the end."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import rich

from affine_trainer.artifacts import (
    data_dir,
    dependencies,
    fingerprint_of,
    log_dir,
    model_dir,
    read_manifest,
    write_atomic,
    write_json,
)
from affine_trainer.config import Cell, Config, Experiment
from affine_trainer.errors import AffineError, StageError
from affine_trainer.report.experiment import read_cell, results_folder, summarise_experiment
from affine_trainer.report.experiment_tables import experiment_markdown, experiment_tables, method_note
from affine_trainer.stages.collect import READS as COLLECT_READS
from affine_trainer.stages.collect import collect
from affine_trainer.stages.evaluate import READS as EVALUATE_READS
from affine_trainer.stages.evaluate import evaluate
from affine_trainer.stages.rl import READS as RL_READS
from affine_trainer.stages.rl import rl
from affine_trainer.stages.sft import READS as SFT_READS
from affine_trainer.stages.sft import sft
from affine_trainer.tracking import progress, say

STAGES = ("collect", "sft", "rl", "eval")
HASH_LENGTH = 10


def run_experiment(
    experiment: Experiment, *, only: str | None = None, last_stage: str = "eval", force: bool = False
) -> Path:
    """Run the cells (of the overlay `only`), no stage after `last_stage`; the folder of the results.

    Finished cells are skipped and a killed one goes on, as the stages themselves do. A cell that fails does
    not stop the others. The tables hold every finished cell of the file. StageError when a cell failed.
    """
    chosen = [cell for cell in experiment.cells if only in (None, cell.overlay)]
    failures: dict[str, str] = {}
    done = sum(_is_finished(cell, last_stage) for cell in chosen) if not force else 0
    with progress(f"experiment {experiment.name}", len(chosen), unit="cells", completed=done) as bar:
        for number, cell in enumerate(chosen, start=1):
            if not force and _is_finished(cell, last_stage):
                continue
            say(f"\n{experiment.name} · cell {number} of {len(chosen)}: {cell.overlay}, seed {cell.seed}")
            try:
                run_cell(cell, last_stage, force=force)
            except AffineError as error:
                failures[cell.config.run] = str(error)
                say(f"{cell.config.run} failed: {error}")
            gc.collect()  # a trainer and its model hold each other
            bar.advance()
    folder = results_folder(experiment.name)
    if last_stage in ("rl", "eval"):
        write_results(experiment, folder, failures)
    if failures:
        raise StageError(
            f"{len(failures)} of {len(chosen)} cells failed ({', '.join(failures)}): see above; "
            "the same command tries them again"
        )
    return folder


def run_cell(cell: Cell, last_stage: str, *, force: bool) -> None:
    """What the cell shares, once, then its own RL and evaluation; finished stages skip themselves."""
    share(cell, last_stage)
    if last_stage in ("rl", "eval"):
        rl(cell.config, force=force)
    if last_stage == "eval":
        evaluate(cell.config, "rl", force=force)


def share(cell: Cell, last_stage: str) -> None:
    """Collect and fine-tune for the cell, in runs named by what these stages depend on, and link them in.

    Cells whose collect and SFT would come out equal thus do them once, those of other experiments included.
    """
    data_config, sft_config = shared_configs(cell.shared)
    collect(data_config)
    link(data_dir(cell.config), data_dir(data_config))
    link(log_dir(cell.config, "eval", "trivial"), log_dir(data_config, "eval", "trivial"))
    if last_stage != "collect":
        link(data_dir(sft_config), data_dir(data_config))
        sft(sft_config)
        link(model_dir(cell.config, "sft_final"), model_dir(sft_config, "sft_final"))


def shared_configs(config: Config) -> tuple[Config, Config]:
    """The same config in the runs that its collect and its SFT are shared under."""
    data = fingerprint_of("collect", dependencies(config, COLLECT_READS, {}))[:HASH_LENGTH]
    model = fingerprint_of("sft", dependencies(config, SFT_READS, {}))[:HASH_LENGTH]
    named = (f"shared-{data}", f"shared-{data}-{model}")
    first, second = (config.model_copy(update={"run": run}) for run in named)
    return first, second


def link(path: Path, target: Path) -> None:
    """Make `path` a relative link to `target`; StageError where it holds something of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_symlink():
        raise StageError(
            f"{path} holds a run's own files, and an experiment would put a link there: move it away, "
            "or give the experiment another name with --name."
        )
    fresh = path.with_name(f".{path.name}.link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, path.parent))
    fresh.replace(path)


def _is_finished(cell: Cell, last_stage: str) -> bool:
    if last_stage in ("collect", "sft"):
        return False  # they skip themselves, for all cells that share them
    return _is_done(cell, "rl") and (last_stage == "rl" or _is_done(cell, "eval"))


def _is_done(cell: Cell, stage: str) -> bool:
    """Whether the cell's own stage is finished with the file as it is now, on what it now shares."""
    config = cell.config
    if stage == "eval":
        best = model_dir(config, "rl_best")
        return _matches(log_dir(config, "eval", "rl"), config, EVALUATE_READS, {"model": best})
    data_config, sft_config = shared_configs(cell.shared)
    inputs = {"collect": data_dir(data_config), "sft": model_dir(sft_config, "sft_final")}
    return _matches(model_dir(config, "rl_best"), config, RL_READS, inputs)


def _matches(folder: Path, config: Config, reads: Sequence[str], inputs: Mapping[str, Path]) -> bool:
    manifest = read_manifest(folder)
    if manifest is None or any(read_manifest(path) is None for path in inputs.values()):
        return False
    made, wanted = manifest.depends_on, dependencies(config, reads, inputs)
    same_inputs = all(made["inputs"].get(name) == digest for name, digest in wanted["inputs"].items())
    return same_inputs and all(made[name] == wanted[name] for name in ("version", "config"))


def write_results(experiment: Experiment, folder: Path, failures: Mapping[str, str]) -> None:
    """experiment.json and experiment.md of all cells that are finished, and the tables on the console."""
    results = [
        read_cell(cell, experiment.metric, evaluated=_is_done(cell, "eval"))
        for cell in experiment.cells
        if _is_done(cell, "rl")
    ]
    level = experiment.cells[0].config.sampling.confidence_level
    summary = summarise_experiment(experiment, results, failures, level)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "experiment.json", summary)
    write_atomic(folder / "experiment.md", experiment_markdown(summary))
    console = rich.get_console()
    for table in experiment_tables(summary):
        console.print()
        console.print(table)
    say(f"\n{method_note(summary)}")
    say(f"wrote {folder / 'experiment.json'} and {folder / 'experiment.md'}")


def check_stage(stage: str) -> str:
    """The name itself; AffineError where no stage of a cell has it."""
    if stage not in STAGES:
        raise AffineError(f"--stage is {stage!r}; give one of {', '.join(STAGES)}")
    return stage

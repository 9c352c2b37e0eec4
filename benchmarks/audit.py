"""How long a leak report takes: 12,000 training samples against the evaluation tasks, on one core.

    python benchmarks/audit.py [--foreign] [--samples 12000] [--set data.affine.sat_family=validator]

Samples are drawn by the config's shares and written as ours, with task keys, or with --foreign as another
pipeline's would be: without keys, and each prompt within other wording, so that all is found by text. The
evaluation tasks are the config's (4,400 of them with the embedded default).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import write_jsonl
from affine_trainer.config import Config, load_config
from affine_trainer.envs import task_sets
from affine_trainer.envs.program_rows import _generated_row
from affine_trainer.envs.stage_tasks import weight_of
from affine_trainer.leaks.programs import program_forms
from affine_trainer.leaks.reading import first_observation
from affine_trainer.records import Task, TaskSet
from affine_trainer.stages.audit import audit
from affine_trainer.stages.collect import shared_out


def samples(config: Config, count: int) -> list[tuple[Task, str, str]]:
    """Training tasks by the config's shares, each with what asks and an answer (programs' alone are real)."""
    sets = list(task_sets(config, None, "training").values())
    shares = shared_out(count, [weight_of(tasks.env, config) for tasks in sets])
    return [found for tasks, share in zip(sets, shares, strict=True) for found in _drawn(tasks, share)]


def _drawn(tasks: TaskSet, count: int) -> list[tuple[Task, str, str]]:
    found = []
    for task in tasks.tasks(tasks.indices("train", count, 0)):
        asking = task.prompt[-1].content if tasks.max_turns == 1 else first_observation(task, tasks)
        reply = tasks.expert_reply(task) if task.env == "affine:ded" else None
        found.append((task, asking, reply or "Action: look"))
    return found


def ours(task: Task, asking: str, reply: str) -> dict[str, Any]:
    """A line of train.jsonl."""
    return {
        "prompt": [{"role": "user", "content": asking}],
        "completion": [{"role": "assistant", "content": reply}],
        "task_key": task.key,
        "content_sha256": task.content_sha256,
    }


def foreign(task: Task, asking: str, reply: str) -> dict[str, Any]:
    """A line of another pipeline's file."""
    wrapped = f"You are an expert. Solve the task below and think step by step.\n{asking}\nBe brief."
    return {"environment": task.env, "prompt": wrapped, "response": reply}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=12_000)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--foreign", action="store_true")
    arguments = parser.parse_args()
    config = load_config(None, arguments.overrides)
    drawn = samples(config, arguments.samples)
    for remembered in (_generated_row, program_forms):  # drawing them must not pay for reading them
        remembered.cache_clear()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_jsonl(
            Path("rows.jsonl"), ((foreign if arguments.foreign else ours)(*sample) for sample in drawn)
        )
        wall, cpu = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            audit(config, ["rows.jsonl"])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{len(drawn):,} samples in {cpu:.1f} s of one core ({wall:.1f} s passed)")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()

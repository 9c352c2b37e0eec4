"""Does training a 4 B model work on this GPU, and how fast: our SFT and PPO beside plain TRL.

The model has Qwen3-4B's architecture and random weights, so nothing is downloaded. Run from the repository:
`PYTHONPATH=. python benchmarks/gpu_check.py --json result.json`; `--size tiny` tries it out on a CPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")

import torch
import transformers
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from affine_trainer.config import Config, ModelConfig, RLConfig, TrainingConfig
from affine_trainer.learning.adapters import lora_config
from affine_trainer.learning.diagnostics import PhaseClock
from affine_trainer.learning.ppo_loop import RunHooks
from affine_trainer.learning.trl_ppo import PPOTrainer
from affine_trainer.learning.trl_sft import build_trainer
from affine_trainer.policies.hf import HFPolicy
from affine_trainer.records import Episode, Sampling, TaskGroup
from affine_trainer.rollout import play
from benchmarks.random_models import SIZES, byte_tokenizer, random_model
from benchmarks.trivial_tasks import CountingTasks, vowel_share

CUDA = torch.cuda.is_available()
GROUP = 8


@dataclass(frozen=True)
class Shapes:
    """What is trained on: SFT rows of `sft_tokens`, episodes of `prompt_tokens` and `new_tokens`."""

    size: str
    lora_r: int
    sft_batch: int
    sft_tokens: int
    episodes: int
    micro_batch: int
    prompt_tokens: int
    new_tokens: int
    sft_steps: int
    iterations: int


SHAPES = {
    "4b": Shapes("4b", 64, 8, 1024, 32, 4, 512, 64, 6, 3),
    "tiny": Shapes("tiny", 8, 4, 64, 16, 4, 40, 8, 4, 3),
}


class Enough(Exception):
    """Raised by a callback when a trainer has been timed for long enough."""


@dataclass
class StepTimes(TrainerCallback):
    """Seconds of each `every` optimiser steps; stops the trainer after `wanted` of them."""

    every: int
    wanted: int
    seconds: list[float] = field(default_factory=list)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.since = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.every == 0:
            self.seconds.append(now() - self.since)
            self.since = now()
        if len(self.seconds) == self.wanted:
            raise Enough


def now() -> float:
    synchronise()
    return time.perf_counter()


def synchronise() -> None:
    if CUDA:
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--size", choices=list(SHAPES), default="4b" if CUDA else "tiny")
    parser.add_argument("--only", nargs="*", choices=list(CHECKS), default=list(CHECKS))
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    shapes, began = SHAPES[options.size], time.perf_counter()
    results = {"machine": machine(), "shapes": vars(shapes)}
    for name in options.only:
        results[name] = measured(CHECKS[name], shapes)
        print(line(name, results[name]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    print(f"finished in {time.perf_counter() - began:.0f} s on {results['machine']['device']}")


def machine() -> dict[str, str]:
    device = torch.cuda.get_device_name(0) if CUDA else "cpu"
    return {"device": device, "torch": torch.__version__, "transformers": transformers.__version__}


def measured(check: Callable[[Shapes, Path], dict[str, Any]], shapes: Shapes) -> dict[str, Any]:
    """One check with the memory it took, in a folder that is thrown away."""
    gc.collect()
    if CUDA:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = check(shapes, Path(folder))
    peak = torch.cuda.max_memory_allocated() / 2**30 if CUDA else 0.0
    return result | {"peak_gib": peak, "setup_and_run_seconds": time.perf_counter() - began}


def line(name: str, result: dict[str, Any]) -> str:
    phases = "  ".join(f"{phase} {seconds:.2f}" for phase, seconds in result.get("phases", {}).items())
    return (
        f"{name:10}{result['seconds']:8.2f} s a step {result['tokens_per_second']:10,.0f} tokens/s"
        f"{result['peak_gib']:8.1f} GiB   {phases}"
    )


def throughput(seconds: list[float], tokens: int, **more: Any) -> dict[str, Any]:
    """The first step warms up and is left out."""
    median = statistics.median(seconds[1:])
    return {"seconds": median, "tokens_per_second": tokens / median, "all_seconds": seconds, **more}


def training_config(shapes: Shapes, **more: Any) -> TrainingConfig:
    return TrainingConfig(
        lora_r=shapes.lora_r, lora_alpha=2 * shapes.lora_r, bf16=CUDA, gradient_checkpointing=CUDA, **more
    )


def model_and_tokenizer(shapes: Shapes) -> tuple[Any, Any]:
    dtype, device = (torch.bfloat16, "cuda") if CUDA else (torch.float32, "cpu")
    return random_model(shapes.size, device, dtype), byte_tokenizer(SIZES[shapes.size]["vocab_size"])


def sft_rows(shapes: Shapes) -> list[dict[str, list[int]]]:
    rng = random.Random(0)
    rows = shapes.sft_batch * (shapes.sft_steps + 1)
    ids = [[rng.randrange(3, 250) for _ in range(shapes.sft_tokens)] for _ in range(rows)]
    return [{"input_ids": row, "labels": row} for row in ids]


def ours_sft(shapes: Shapes, folder: Path) -> dict[str, Any]:
    model, tokenizer = model_and_tokenizer(shapes)
    rows = sft_rows(shapes)
    trainer = build_trainer(
        model,
        tokenizer,
        training_config(shapes, batch_size=shapes.sft_batch, eval_steps=1_000_000),
        train=rows,
        validation=rows[:1],
        checkpoints=folder,
        seed=0,
        on_cpu=not CUDA,
        log=None,
        advance=lambda: None,
    )
    return timed_sft(trainer, shapes)


def trl_sft(shapes: Shapes, folder: Path) -> dict[str, Any]:
    model, tokenizer = model_and_tokenizer(shapes)
    arguments = SFTConfig(
        per_device_train_batch_size=shapes.sft_batch,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        **quiet(folder),
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(sft_rows(shapes)),
        processing_class=tokenizer,
        peft_config=lora_config(training_config(shapes)),
    )
    return timed_sft(trainer, shapes)


def timed_sft(trainer: Any, shapes: Shapes) -> dict[str, Any]:
    times = StepTimes(1, shapes.sft_steps)
    run(trainer, times)
    return throughput(times.seconds, shapes.sft_batch * shapes.sft_tokens)


def quiet(folder: Path) -> dict[str, Any]:
    """Arguments of every plain TRL trainer: the precision of ours, nothing logged, nothing saved."""
    return {
        "output_dir": str(folder),
        "bf16": CUDA,
        "use_cpu": not CUDA,
        "gradient_checkpointing": CUDA,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def run(trainer: Any, times: StepTimes) -> None:
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(times)
    try:
        trainer.train()
    except Enough:
        return
    raise SystemExit("the trainer stopped before it was timed")


def texts(shapes: Shapes) -> list[str]:
    rng = random.Random(0)
    return [
        "".join(rng.choices("abcdefghij ", k=shapes.prompt_tokens - 2))
        for _ in range(shapes.episodes // GROUP)
    ]


def ours_ppo(shapes: Shapes, folder: Path) -> dict[str, Any]:
    model, tokenizer = model_and_tokenizer(shapes)
    config = Config(
        model=ModelConfig(max_prompt_tokens=8192, max_new_tokens=shapes.new_tokens),
        training=training_config(shapes),
        rl_training=RLConfig(
            num_rollouts=100,
            rollout_batch_size=shapes.episodes,
            mini_batch_size=shapes.episodes // 2,
            micro_batch_size=shapes.micro_batch,
            ppo_epochs=1,
            validation_frequency=1_000_000,
            save_frequency=1_000_000,
        ),
    )
    tasks, clock, reports = CountingTasks(texts(shapes)), PhaseClock(synchronise), []
    repeated = [task for task in tasks.tasks(range(shapes.episodes // GROUP)) for _ in range(GROUP)]
    sampling = Sampling(1.0, 1.0, shapes.new_tokens, seed=0)

    def collect(iteration: int) -> list[Episode]:
        with clock.phase("generate"):
            [episodes] = play(
                [TaskGroup(tasks, repeated)],
                policy,
                sampling,
                seed=iteration,
                chunk_size=shapes.episodes,
                keep_conversation=True,
            )
            return episodes

    trainer = PPOTrainer(
        model,
        tokenizer,
        config,
        output_dir=folder,
        hooks=RunHooks(collect, lambda finished: 0.0, lambda finished, metrics: reports.append(metrics)),
        clock=clock,
    )
    policy = HFPolicy(trainer.policy_model, tokenizer, name="ppo", max_prompt_tokens=8192)
    times = StepTimes(2, shapes.iterations)
    run(trainer, times)
    phases = {
        name.removeprefix("time/"): statistics.median(report[name] for report in reports[1:])
        for name in reports[-1]
        if name.startswith("time/")
    }
    learned = {name: reports[-1][f"rl/{name}"] for name in ("approx_kl", "clip_fraction", "total_loss")}
    return throughput(times.seconds, shapes.episodes * shapes.new_tokens, phases=phases, **learned)


def trl_grpo(shapes: Shapes, folder: Path) -> dict[str, Any]:
    model, tokenizer = model_and_tokenizer(shapes)

    def reward(completions: list[Any], **rest: Any) -> list[float | None]:
        return [vowel_share(completion[0]["content"]) for completion in completions]

    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[reward],
        args=GRPOConfig(
            max_steps=100,
            per_device_train_batch_size=shapes.micro_batch,
            gradient_accumulation_steps=shapes.episodes // 2 // shapes.micro_batch,
            generation_batch_size=shapes.episodes,
            num_generations=GROUP,
            num_iterations=1,
            max_completion_length=shapes.new_tokens,
            beta=0.1,
            **quiet(folder),
        ),
        train_dataset=Dataset.from_dict(
            {"prompt": [[{"role": "user", "content": text}] for text in texts(shapes)]}
        ),
        processing_class=tokenizer,
        peft_config=lora_config(training_config(shapes)),
    )
    times = StepTimes(2, shapes.iterations)
    run(trainer, times)
    return throughput(times.seconds, shapes.episodes * shapes.new_tokens)


CHECKS = {"sft": ours_sft, "trl-sft": trl_sft, "ppo": ours_ppo, "trl-grpo": trl_grpo}


if __name__ == "__main__":
    main()

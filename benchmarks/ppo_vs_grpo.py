"""Time of our PPO iteration against one of TRL's own GRPOTrainer, side by side, at equal generated tokens.

Both train a LoRA adapter on the same random Qwen3 with the same prompts, lengths, batch sizes,
`num_iterations` and `beta`, one turn an episode; every reply has exactly --new-tokens tokens. Two processes
take turns, an iteration each, so that a machine that is busy elsewhere slows both alike.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
SIDES = ("ppo", "grpo")
GROUP = 8  # replies to each prompt, as GRPO wants them
LORA_R, LORA_ALPHA = 32, 64


def main() -> None:
    options = parse()
    if options.side:
        return play_one_side(options)
    report(list(alternate(options))[options.warm_up :], options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20, help="measured iterations of each side")
    parser.add_argument("--warm-up", type=int, default=2, help="iterations of each side before them")
    parser.add_argument("--size", default="nano", help="a size of benchmarks/random_models.py")
    parser.add_argument("--episodes", type=int, default=64, help="an iteration")
    parser.add_argument("--mini-batch", type=int, default=32, help="episodes an optimiser step")
    parser.add_argument("--micro-batch", type=int, default=16, help="episodes a forward pass")
    parser.add_argument("--epochs", type=int, default=2, help="num_iterations: passes over the episodes")
    parser.add_argument("--prompt-tokens", type=int, nargs=2, default=(60, 200), help="shortest and longest")
    parser.add_argument("--new-tokens", type=int, default=48, help="of every reply")
    parser.add_argument("--beta", type=float, default=0.05, help="weight of the KL to the reference")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def alternate(options: argparse.Namespace) -> Iterator[dict[str, dict[str, float]]]:
    """Run both sides as processes that take turns; yields their measurements pair by pair."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"}
    players = {
        side: subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--side", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for side in SIDES
    }
    try:
        for number in range(options.warm_up + options.pairs):
            order = SIDES if number % 2 else SIDES[::-1]
            yield {side: one_iteration(players[side]) for side in order}
    finally:
        for player in players.values():
            player.kill()


def one_iteration(player: subprocess.Popen[str]) -> dict[str, float]:
    assert player.stdin and player.stdout
    player.stdin.write("go\n")
    player.stdin.flush()
    for line in player.stdout:
        if line.startswith("{"):
            return json.loads(line)
    raise SystemExit(f"one side ended early with exit code {player.wait()}")


class Turns:
    """The player's end: waits for its turn and tells how long an iteration took."""

    def wait(self) -> None:
        if not sys.stdin.readline():
            raise SystemExit
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def tell(self, tokens: int) -> None:
        spent = {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu}
        print(json.dumps(spent | {"tokens": tokens}), flush=True)


def play_one_side(options: argparse.Namespace) -> None:
    import torch

    turns = Turns()
    make = ppo_trainer if options.side == "ppo" else grpo_trainer
    with tempfile.TemporaryDirectory() as folder:
        trainer = make(options, Path(folder), "cuda" if torch.cuda.is_available() else "cpu", turns)
        turns.wait()
        trainer.train()


def prompt_texts(options: argparse.Namespace) -> list[str]:
    """The texts of an iteration, each played GROUP times; two tokens of the chat template come on top."""
    rng = random.Random(0)
    low, high = options.prompt_tokens
    lengths = [rng.randint(low, high) - 2 for _ in range(options.episodes // GROUP)]
    return ["".join(rng.choices("abcdefghij ", k=length)) for length in lengths]


def ppo_trainer(options: argparse.Namespace, folder: Path, device: str, turns: Turns) -> Any:
    """Our trainer, playing through `rollout.play` with its own policy."""
    import torch

    from affine_trainer.config import Config, ModelConfig, RLConfig, TrainingConfig
    from affine_trainer.learning.diagnostics import PhaseClock
    from affine_trainer.learning.ppo_loop import RunHooks
    from affine_trainer.learning.trl_ppo import PPOTrainer
    from affine_trainer.policies.hf import HFPolicy
    from affine_trainer.records import Episode, Sampling, TaskGroup
    from affine_trainer.rollout import play
    from benchmarks.random_models import SIZES, byte_tokenizer, random_model
    from benchmarks.trivial_tasks import CountingTasks

    rl = RLConfig(
        num_rollouts=options.warm_up + options.pairs + 1,
        rollout_batch_size=options.episodes,
        mini_batch_size=options.mini_batch,
        micro_batch_size=options.micro_batch,
        ppo_epochs=options.epochs,
        kl_coef=options.beta,
        validation_frequency=1_000_000,
        save_frequency=1_000_000,
    )
    model = ModelConfig(max_prompt_tokens=8192, max_new_tokens=options.new_tokens)
    tokenizer = byte_tokenizer(SIZES[options.size]["vocab_size"])
    tasks = CountingTasks(prompt_texts(options))
    sampled: list[int] = []

    def collect(iteration: int) -> list[Episode]:
        repeated = [task for task in tasks.tasks(range(options.episodes // GROUP)) for _ in range(GROUP)]
        [episodes] = play(
            [TaskGroup(tasks, repeated)],
            policy,
            Sampling(1.0, 1.0, options.new_tokens, seed=0),
            seed=iteration,
            chunk_size=options.episodes,
            keep_conversation=True,
        )
        sampled.append(sum(episode.num_completion_tokens for episode in episodes))
        return episodes

    def report_iteration(finished: int, metrics: dict[str, float]) -> None:
        turns.tell(sampled[-1])
        turns.wait()

    trainer = PPOTrainer(
        random_model(options.size, device, torch.float32),
        tokenizer,
        Config(model=model, training=TrainingConfig(lora_r=LORA_R, lora_alpha=LORA_ALPHA), rl_training=rl),
        output_dir=folder,
        hooks=RunHooks(collect, lambda finished: 0.0, report_iteration),
        clock=PhaseClock(),
    )
    policy = HFPolicy(trainer.policy_model, tokenizer, name="ppo", max_prompt_tokens=8192)
    return trainer


def grpo_arguments(options: argparse.Namespace, folder: Path, device: str, steps: int) -> Any:
    """TRL's arguments for the same work; `steps` optimiser steps are an iteration."""
    from trl.trainer.grpo_config import GRPOConfig

    return GRPOConfig(
        output_dir=str(folder),
        max_steps=(options.warm_up + options.pairs + 1) * steps,
        per_device_train_batch_size=options.micro_batch,
        gradient_accumulation_steps=options.mini_batch // options.micro_batch,
        generation_batch_size=options.episodes,
        num_generations=GROUP,
        num_iterations=options.epochs,
        max_completion_length=options.new_tokens,
        beta=options.beta,
        learning_rate=3e-4,
        bf16=False,
        use_cpu=device == "cpu",
        gradient_checkpointing=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def grpo_trainer(options: argparse.Namespace, folder: Path, device: str, turns: Turns) -> Any:
    """TRL's trainer with its own generation, on the same texts in groups of GROUP."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback
    from trl.trainer.grpo_trainer import GRPOTrainer

    from affine_trainer.config import TrainingConfig
    from benchmarks.random_models import SIZES, byte_tokenizer, random_model
    from benchmarks.trivial_tasks import vowel_share

    training, steps = (
        TrainingConfig(lora_r=LORA_R, lora_alpha=LORA_ALPHA),
        options.epochs * options.episodes // options.mini_batch,
    )
    sampled: list[int] = []

    def reward(completions: list[Any], completion_ids: list[list[int]], **rest: Any) -> list[float | None]:
        sampled.append(sum(map(len, completion_ids)))
        return [vowel_share(completion[0]["content"]) for completion in completions]

    class TellTurns(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step % steps == 0:
                turns.tell(sampled[-1])
                turns.wait()

    trainer = GRPOTrainer(
        model=random_model(options.size, device, torch.float32),
        reward_funcs=[reward],
        args=grpo_arguments(options, folder, device, steps),
        train_dataset=Dataset.from_dict(
            {"prompt": [[{"role": "user", "content": text}] for text in prompt_texts(options)]}
        ),
        processing_class=byte_tokenizer(SIZES[options.size]["vocab_size"]),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM",
            r=training.lora_r,
            lora_alpha=training.lora_alpha,
            target_modules=list(training.lora_target_modules),
        ),
        callbacks=[TellTurns()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def report(pairs: Sequence[dict[str, dict[str, float]]], options: argparse.Namespace) -> None:
    """The table: seconds an iteration, tokens, and the ratio of the pairs with its interval."""
    for side in SIDES:
        if len({pair[side]["tokens"] for pair in pairs} | {pairs[0]["ppo"]["tokens"]}) != 1:
            raise SystemExit("the sides did not generate equally many tokens")
    result: dict[str, Any] = {
        "tokens": pairs[0]["ppo"]["tokens"],
        "pairs": len(pairs),
        "options": vars(options),
    }
    print(f"{len(pairs)} pairs of iterations, {int(result['tokens'])} generated tokens each")
    print(f"{'':24}{'ppo':>10}{'grpo':>10}   ppo / grpo, geometric mean (95 % interval)")
    for clock in ("wall", "cpu"):
        mine, theirs = ([pair[side][clock] for pair in pairs] for side in SIDES)
        ratio, low, high = mean_ratio(mine, theirs)
        result[clock] = {"ppo": mine, "grpo": theirs, "ratio": ratio, "low": low, "high": high}
        medians = f"{statistics.median(mine):>10.3f}{statistics.median(theirs):>10.3f}"
        print(f"{f'{clock} seconds (median)':24}{medians}   {ratio:.3f} ({low:.3f} to {high:.3f})")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=str) + "\n")


def mean_ratio(mine: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of the paired ratios and its 95 % t interval."""
    from scipy.stats import t

    logs = [math.log(a / b) for a, b in zip(mine, theirs, strict=True)]
    center = statistics.fmean(logs)
    spread = float(t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(center), math.exp(center - spread), math.exp(center + spread)


if __name__ == "__main__":
    main()

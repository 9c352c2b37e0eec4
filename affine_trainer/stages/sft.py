"""Step 2: supervised fine-tuning of `model.name` on the collected data, loss on the replies alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affine_trainer.artifacts import (
    command_for,
    data_dir,
    log_dir,
    model_dir,
    read_jsonl,
    read_manifest,
    require,
    stage_folder,
)
from affine_trainer.config import Config, ModelConfig
from affine_trainer.device import describe_device, require_bf16, training_device
from affine_trainer.errors import DataError
from affine_trainer.records import Message
from affine_trainer.tracking import EVENTS_FILE, Bar, Tracker, open_tracker, progress, say, truncate_events

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


Example = dict[str, list[int]]

READS = ("seed", "model", "training")

STILL_FALLING = 0.005  # a last validation that lowers the loss by this share: more training may help


def sft(config: Config, *, force: bool = False) -> Path:
    """Fine-tune and write models/{run}/sft_final: a LoRA adapter, or a whole model without LoRA.

    The best checkpoint by validation loss is kept. A killed run resumes from its last whole checkpoint and
    ends with the metrics of an undisturbed one. Raises StageError, DataError or ConfigError.
    """
    path, checkpoints = model_dir(config, "sft_final"), model_dir(config, "sft_checkpoints")
    logs, data = log_dir(config, "sft"), data_dir(config)
    if int(os.environ.get("RANK", "0")) > 0:
        return _train_beside_rank_0(config, force)
    require(data, "collect", "affine collect")
    with stage_folder(
        "sft",
        path,
        config,
        reads=READS,
        inputs={"collect": data},
        force=force,
        beside=(checkpoints, logs),
    ) as folder:
        if folder.complete:
            say(f"sft: {path} is complete, nothing to do")
            return path
        with open_tracker(config, logs, "sft") as tracker:
            metrics = _train(config, tracker)
            tracker.artifact(path, "model")
        folder.finish(metrics, device=describe_device(), leaves=[logs])
    _tell(metrics, path, logs)
    return path


def _train_beside_rank_0(config: Config, force: bool) -> Path:
    """The part of a torchrun process that is not the first: it trains along and writes nothing."""
    path = model_dir(config, "sft_final")
    if force or read_manifest(path) is None:
        _train(config, None)
    return path


def _train(config: Config, tracker: Tracker | None) -> dict[str, Any]:
    """Train, save the best checkpoint as the final model, and return the metrics of the manifest."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the libraries are imported
    from affine_trainer.learning.trl_sft import (
        build_trainer,
        last_complete_checkpoint,
        num_steps,
        wait_for_all,
    )
    from affine_trainer.policies.hf import load_model, load_tokenizer

    training, checkpoints = config.training, model_dir(config, "sft_checkpoints")
    if training.bf16:
        require_bf16()
    tokenizer = load_tokenizer(config.model.name, config)
    train = encode_file(data_dir(config) / "train.jsonl", tokenizer, config)
    validation = encode_file(data_dir(config) / "validation.jsonl", tokenizer, config)
    model = load_model(config.model.name, config)
    wait_for_all()  # from here on the first process has opened the folders, and under --force cleared them
    checkpoint, done = last_complete_checkpoint(checkpoints) or (None, 0)
    if tracker:
        truncate_events(tracker.path, done)
    with progress("sft", num_steps(training, len(train)), unit="steps", completed=done) as bar:
        trainer = build_trainer(
            model if training.use_lora else model.float(),
            tokenizer,
            training,
            train=train,
            validation=validation,
            checkpoints=checkpoints,
            seed=config.seed,
            on_cpu=training_device() == "cpu",
            log=partial(_log, tracker, bar) if tracker else None,
            advance=bar.advance,
        )
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.save_final(model_dir(config, "sft_final"), tokenizer, base=config.model.name)
    return summarise(trainer.state.log_history, train, training.num_epochs)


def _log(tracker: Tracker, bar: Bar, metrics: Mapping[str, float], step: int) -> None:
    """Keep the metrics of a step, and show the loss behind the bar."""
    tracker.log(metrics, step)
    for name in ("train_loss", "eval_loss"):
        if f"sft/{name}" in metrics:
            bar.note(f"{name.replace('_', ' ')} {metrics[f'sft/{name}']:.3f}")


def encode_file(path: Path, tokenizer: PreTrainedTokenizerBase, config: Config) -> list[Example]:
    """The rows of a data file as `input_ids` and `labels`; one that does not fit is refused by its number."""
    examples = []
    with progress(f"encode {path.name}", None, unit="rows") as bar:
        for number, row in enumerate(read_jsonl(path, ("prompt", "completion")), start=1):
            examples.append(encode_row(row, f"{path}, line {number}", tokenizer, config.model))
            bar.advance()
    return examples


def encode_row(
    row: dict[str, Any], where: str, tokenizer: PreTrainedTokenizerBase, limits: ModelConfig
) -> Example:
    """The token ids of prompt and completion, stop tokens included, and labels of the replies alone.

    Encoded by the code the rollouts use, so that training and sampling see the same ids. Never truncated.
    """
    from affine_trainer.learning.trl_sft import IGNORED
    from affine_trainer.policies.hf import encode_conversation

    prompt = _messages(row["prompt"], f"{where}: prompt")
    turns = _messages(row["completion"], f"{where}: completion")
    if any((turn.role == "assistant") == (place % 2 == 1) for place, turn in enumerate(turns)):
        raise DataError(f"{where}: completion should begin with a reply (assistant), then take turns")
    ids, replies = encode_conversation(tokenizer, prompt, turns)
    first, several = replies.index(1), len(turns) > 1
    key = "max_episode_tokens" if several else "max_new_tokens"
    for name, count, limit in (
        ("prompt", first, "max_prompt_tokens"),
        ("completion", len(ids) - first, key),
    ):
        if count > getattr(limits, limit):
            raise DataError(
                f"{where}: the {name} has {count} tokens, more than model.{limit} = "
                f"{getattr(limits, limit)}; raise that key or leave the row out (rows are never truncated)"
            )
    labels = [token if reply else IGNORED for token, reply in zip(ids, replies, strict=True)]
    return {"input_ids": ids, "labels": labels}


def _messages(value: Any, where: str) -> list[Message]:
    """A list of {"role", "content"} as messages; DataError where it is something else."""
    try:
        messages = [Message(message["role"], message["content"]) for message in value]
    except (TypeError, KeyError) as error:
        raise DataError(f"{where} should be a list of messages with role and content") from error
    if not messages:
        raise DataError(f"{where} should hold at least one message")
    if not all(isinstance(message.content, str) and message.content.strip() for message in messages):
        raise DataError(f"{where} holds a message without text")
    return messages


def summarise(history: list[dict[str, Any]], train: list[Example], num_epochs: int) -> dict[str, Any]:
    """The metrics of a finished run from the trainer's log, which a resumed run carries on.

    Losses are natural-log NLL a scored token; `tokens` counts prompt and completion over all epochs;
    `seconds` is training and evaluation time without what a kill threw away, `tokens_per_second` that of
    training alone.
    """
    windows = [entry for entry in history if "loss" in entry]
    evaluations = [entry for entry in history if "eval_loss" in entry]
    best = min(evaluations, key=lambda entry: entry["eval_loss"])
    starts = [0, *(entry["step"] for entry in windows)]
    steps = [entry["step"] - start for entry, start in zip(windows, starts, strict=False)]
    tokens = num_epochs * sum(len(example["input_ids"]) for example in train)
    seconds = max(entry["seconds"] for entry in history)
    seconds_training = seconds - sum(entry["eval_runtime"] for entry in evaluations)
    return {
        "train_loss": sum(n * entry["loss"] for n, entry in zip(steps, windows, strict=True)) / sum(steps),
        "final_train_loss": windows[-1]["loss"],
        "eval_loss": best["eval_loss"],
        "perplexity": best["eval_perplexity"],
        "best_step": best["step"],
        "steps": windows[-1]["step"],
        "still_falling": _still_falling([entry["eval_loss"] for entry in evaluations]),
        "tokens": tokens,
        "scored_tokens": num_epochs * sum(label >= 0 for example in train for label in example["labels"]),
        "seconds": seconds,
        "tokens_per_second": tokens / max(seconds_training, 1e-9),
    }


def _still_falling(losses: list[float]) -> bool:
    """Whether the last evaluation is the best and clearly below the one before."""
    return (
        len(losses) > 1 and losses[-1] <= min(losses[:-1]) and losses[-1] < losses[-2] * (1 - STILL_FALLING)
    )


def _tell(metrics: dict[str, Any], path: Path, logs: Path) -> None:
    say(
        f"sft: validation loss {metrics['eval_loss']:.4f} (perplexity {metrics['perplexity']:.3f}) at step "
        f"{metrics['best_step']} of {metrics['steps']}; {metrics['tokens_per_second']:,.0f} tokens/s"
    )
    if metrics["still_falling"]:
        say("sft: the validation loss was still falling at the end; more training.num_epochs may help")
    say(f"sft: wrote {path} and {logs / EVENTS_FILE}; next: {command_for(path, 'affine rl')}")

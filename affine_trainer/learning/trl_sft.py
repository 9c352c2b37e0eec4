"""Supervised fine-tuning on TRL's SFTTrainer; the only file that knows TRL's SFT side."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from accelerate import PartialState
from datasets import Dataset
from peft import LoraConfig, PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from affine_trainer.config import TrainingConfig
from affine_trainer.errors import AffineError, StageError
from affine_trainer.learning.backbone_hook import BackboneHook
from affine_trainer.learning.row_order import ReproducibleOrder

IGNORED = -100  # the label of a token that is not scored
EVENT_NAMES = {  # the trainer's name -> ours
    "loss": "train_loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "entropy": "entropy",
    "mean_token_accuracy": "token_accuracy",
    "epoch": "epoch",
    "eval_loss": "eval_loss",
    "eval_perplexity": "perplexity",
    "eval_mean_token_accuracy": "eval_token_accuracy",
}


class LogEvent(Protocol):
    """Where metrics go: `Tracker.log`."""

    def __call__(self, metrics: Mapping[str, float], step: int) -> None: ...


class CompletionTrainer(SFTTrainer):
    """SFTTrainer on rows of `input_ids` and `labels`, such that a resumed run is the undisturbed one.

    The evaluation loss is the mean NLL over scored tokens (the parent averages batch means). The LM head sees
    scored tokens alone (on a CPU the parent's would see every one of them).
    """

    _nll = 0.0
    _scored = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = self.accelerator.unwrap_model(self.model)
        language_model = model.get_base_model() if isinstance(model, PeftModel) else model
        self._hook = BackboneHook(cast(Any, language_model).base_model, None)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card beside each checkpoint: it would name paths of this machine."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> ReproducibleOrder:
        rows = train_dataset or self.train_dataset
        assert isinstance(rows, Dataset)
        lengths = [len(ids) for ids in rows["input_ids"]]
        return ReproducibleOrder(lengths, self.args.train_batch_size, self.args.seed)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        targets = inputs["labels"][:, 1:]
        is_scored = nn.functional.pad(targets != IGNORED, (0, 1))  # by the hidden state that predicts it
        places = is_scored.flatten().nonzero()[:, 0]
        scored = len(places)
        if scored == 0:
            raise StageError("a batch has no token to learn from: every label is masked; look at the data")
        rows = {name: tensor for name, tensor in inputs.items() if name != "labels"}
        rows["shift_labels"] = targets[is_scored[:, :-1]][None]
        with self._hook.selecting(places, score_tokens=True, read_values=False):
            loss = super().compute_loss(model, rows, return_outputs, num_items_in_batch)
        if not model.training:
            self._nll += float(loss[0] if return_outputs else loss) * scored
            self._scored += scored
        return loss

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> Any:
        self._nll = self._scored = 0.0
        output = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
        )
        sums = torch.tensor([self._nll, self._scored], dtype=torch.float64, device=self.args.device)
        total = self.accelerator.reduce(sums, "sum")
        assert isinstance(total, torch.Tensor) and output.metrics is not None
        loss = float(total[0] / total[1])
        output.metrics[f"{metric_key_prefix}_loss"] = loss
        output.metrics[f"{metric_key_prefix}_perplexity"] = perplexity(loss)
        return output

    def save_final(self, path: Path, tokenizer: PreTrainedTokenizerBase, base: str) -> None:
        """The model (with LoRA: the adapter, to be put on the model named `base`) and its tokenizer."""
        if not self.is_world_process_zero():
            return
        model = self.accelerator.unwrap_model(self.model)
        if isinstance(model, PeftModel):
            adapter = model.peft_config["default"]
            assert isinstance(adapter, LoraConfig)
            adapter.base_model_name_or_path = base
            adapter.target_modules = sorted(
                adapter.target_modules or ()
            )  # a set: its order differs by process
        model.save_pretrained(str(path))
        (path / "README.md").unlink(missing_ok=True)  # peft's card names the folder the base was loaded from
        tokenizer.save_pretrained(path)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if not math.isfinite(logs.get("loss", 0.0)):
            raise AffineError(
                f"training diverged at step {self.state.global_step}: the loss is {logs['loss']}; "
                "lower training.learning_rate or training.max_grad_norm, and redo the step with --force"
            )
        super().log(logs, start_time)


def perplexity(nll: float) -> float:
    """exp of a mean NLL in nats; infinite where that overflows."""
    return math.exp(nll) if nll < 700.0 else math.inf


class Checkpoints(TrainerCallback):
    """Evaluates and logs wherever a checkpoint is written, so that a resumed run logs the same windows.

    `seconds` in the log counts training time over all resumptions.
    """

    def __init__(self, log: LogEvent | None, advance: Callable[[], None]) -> None:
        self.log = log
        self.advance = advance
        self.begun = time.monotonic()
        self.seconds_before = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.begun = time.monotonic()
        self.seconds_before = max((entry.get("seconds", 0.0) for entry in state.log_history), default=0.0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % args.eval_steps == 0 or state.global_step >= state.max_steps:
            control.should_log = control.should_evaluate = control.should_save = True
        self.advance()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        seconds = self.seconds_before + time.monotonic() - self.begun
        state.log_history[-1]["seconds"] = seconds
        if self.log is not None and ("loss" in logs or "eval_loss" in logs):
            event = {f"sft/{EVENT_NAMES[key]}": value for key, value in logs.items() if key in EVENT_NAMES}
            self.log({**event, "sft/seconds": seconds}, state.global_step)


def build_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    training: TrainingConfig,
    *,
    train: list[dict[str, list[int]]],
    validation: list[dict[str, list[int]]],
    checkpoints: Path,
    seed: int,
    on_cpu: bool,
    log: LogEvent | None,
    advance: Callable[[], None],
) -> CompletionTrainer:
    """The trainer for rows of `input_ids` and `labels`; wraps `model` in LoRA when the config says so.

    `log` receives the metrics of a step (None: nobody does), `advance` is called after every optimiser step.
    """
    trainer = CompletionTrainer(
        model=model,
        args=_arguments(training, checkpoints, seed, on_cpu),
        train_dataset=Dataset.from_list(train),
        eval_dataset=Dataset.from_list(validation),
        processing_class=tokenizer,
        peft_config=_lora(training) if training.use_lora else None,
        callbacks=[Checkpoints(log, advance)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(training: TrainingConfig, checkpoints: Path, seed: int, on_cpu: bool) -> SFTConfig:
    schedule, schedule_options = _schedule(training)
    return SFTConfig(
        output_dir=str(checkpoints),
        num_train_epochs=training.num_epochs,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=schedule,
        lr_scheduler_kwargs=schedule_options,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        bf16=training.bf16,
        use_cpu=on_cpu,
        gradient_checkpointing=training.gradient_checkpointing,
        logging_steps=training.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=training.eval_steps,
        save_strategy="steps",
        save_steps=training.eval_steps,
        save_total_limit=training.save_total_limit,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        train_sampling_strategy="group_by_length",  # the validation rows; else ReproducibleOrder
        dataloader_pin_memory=not on_cpu,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        seed=seed,
        disable_tqdm=True,
        report_to="none",
    )


def _schedule(training: TrainingConfig) -> tuple[str, dict[str, float]]:
    """Transformers' name and options of the schedule; each ends at min_lr_ratio x learning_rate."""
    if training.lr_schedule == "constant" or training.min_lr_ratio == 1.0:
        return "constant_with_warmup", {}
    if training.lr_schedule == "cosine":
        return "cosine_with_min_lr", {"min_lr_rate": training.min_lr_ratio}
    return "polynomial", {"lr_end": training.learning_rate * training.min_lr_ratio, "power": 1.0}


def _lora(training: TrainingConfig) -> LoraConfig:
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=training.lora_r,
        lora_alpha=training.lora_alpha,
        lora_dropout=training.lora_dropout,
        target_modules=list(training.lora_target_modules),
    )


def num_steps(training: TrainingConfig, num_rows: int) -> int:
    """Optimiser steps of a whole run, over all processes; the last one of an epoch may be smaller."""
    batches = math.ceil(num_rows / (training.batch_size * PartialState().num_processes))
    return training.num_epochs * math.ceil(batches / training.gradient_accumulation_steps)


def last_complete_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest checkpoint that was written to its end, and its step; torn ones are removed.

    The trainer writes trainer_state.json last, so a checkpoint whose state parses is whole.
    """
    complete: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        try:
            complete[int(json.loads((path / "trainer_state.json").read_text())["global_step"])] = path
        except (OSError, ValueError, KeyError):
            shutil.rmtree(path, ignore_errors=True)
    if not complete:
        return None
    step = max(complete)
    return complete[step], step


def wait_for_all() -> None:
    """Under torchrun, wait until every process is here; alone, return at once."""
    PartialState().wait_for_everyone()

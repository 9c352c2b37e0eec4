"""PPO on TRL's GRPOTrainer: the only file that knows TRL's RL side.

TRL brings the clipped surrogate, the KL and entropy terms, the fused LM head, the optimiser loop and the
checkpoints. Ours are the rollouts, the critic, the advantages and the shape of the batches. Every term of the
loss is a mean over the action tokens of a whole optimiser step, however it is cut into micro-batches.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from affine_trainer.artifacts import write_json
from affine_trainer.config import Config
from affine_trainer.errors import StageError
from affine_trainer.learning.adapters import lora_config, merged_for_sampling, save_joined_adapter
from affine_trainer.learning.backbone_hook import BackboneHook
from affine_trainer.learning.critic import Critic, clipped_value_loss
from affine_trainer.learning.diagnostics import PhaseClock, RunningMeans, ppo_diagnostics
from affine_trainer.learning.early_stopping import EarlyStopping
from affine_trainer.learning.experience import Experience, by_length, pack_episodes
from affine_trainer.learning.packing import Rows
from affine_trainer.learning.ppo_loop import IterationLoop, RunHooks, steps_per_iteration
from affine_trainer.learning.schedules import LearningRateSchedule
from affine_trainer.learning.training_batch import Scores, micro_batches, training_batch
from affine_trainer.learning.trl_scoring import read_values, score_actions
from affine_trainer.policies.hf import pad_token_id
from affine_trainer.records import seed_from

CRITIC_FILE = "critic.safetensors"
STATE_FILE = "ppo_state.json"


class PPOTrainer(GRPOTrainer):
    """One iteration = one batch of episodes and `ppo_epochs` passes over it."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        config: Config,
        *,
        output_dir: Path,
        hooks: RunHooks,
        clock: PhaseClock,
    ) -> None:
        rl = config.rl_training
        self.rl, self.clock, self.run_seed, self.output_dir = rl, clock, config.seed, output_dir
        self.loop = IterationLoop(self, rl, hooks)
        self._means = RunningMeans()
        self._batch_metrics: dict[str, float] = {}
        self._gradient_norms: list[Tensor] = []
        use_lora = config.training.use_lora
        # TRL would load the reference of a fully trained model from the path it came from, which need not be
        # where training starts.
        reference = copy.deepcopy(model) if rl.kl_coef and not use_lora else None
        super().__init__(
            model=model if use_lora else model.requires_grad_(True),
            reward_funcs=[_rewards_come_with_the_episodes],
            args=_arguments(config, output_dir, beta=rl.kl_coef if use_lora else 0.0),
            train_dataset=Dataset.from_dict({"prompt": [""]}),
            processing_class=tokenizer,
            peft_config=lora_config(config.training) if use_lora else None,
        )
        if reference is not None:
            self._freeze_reference(reference)
        self.remove_callback(PrinterCallback)
        self.add_callback(self.loop)
        language_model = self._language_model
        self.critic = Critic(language_model.config.get_text_config().hidden_size, rl.critic_hidden_size)
        language_model.critic = self.critic.to(self.accelerator.device)
        self._hook = BackboneHook(language_model.base_model, self.critic)

    def _freeze_reference(self, reference: PreTrainedModel) -> None:
        self.beta = self.rl.kl_coef
        self.ref_model = cast(Any, reference).requires_grad_(False).eval().to(self.args.device)
        add_fused_lm_head(self.ref_model, temperature=self.temperature)
        self._reference_hook = BackboneHook(self.ref_model.base_model, None)

    @property
    def policy_model(self) -> Any:
        """The model that samples and learns, with its adapter where it has one."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def _language_model(self) -> Any:
        model = self.policy_model
        return model.get_base_model() if isinstance(model, PeftModel) else model

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card beside each checkpoint: it would name paths of this machine."""

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """The parent's optimiser, with the critic in a group of its own learning rate."""
        fresh = self.optimizer is None
        optimizer = cast(torch.optim.Optimizer, super().create_optimizer(*args, **kwargs))
        if fresh:
            critic = list(self.critic.parameters())
            apart = {id(parameter) for parameter in critic}
            for group in optimizer.param_groups:
                group["params"] = [p for p in group["params"] if id(p) not in apart]
            optimizer.add_param_group(
                {"params": critic, "lr": self.rl.critic_learning_rate, "weight_decay": 0.0}
            )
        return optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        if self.lr_scheduler is None:
            schedule = LearningRateSchedule(
                self.rl.lr_schedule, num_training_steps, self.rl.warmup_steps, self.rl.min_lr_ratio
            )
            self.lr_scheduler = LambdaLR(
                cast(torch.optim.Optimizer, optimizer or self.optimizer), lambda step: schedule.factor(step)
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def clip_gradients(self) -> None:
        """Clip policy and critic apart: a critic that is far off must not shrink the policy's step."""
        critic = list(self.critic.parameters())
        apart = {id(parameter) for parameter in critic}
        policy = [p for p in self.policy_model.parameters() if p.grad is not None and id(p) not in apart]
        assert policy and all(p.grad is not None for p in critic), "both must see gradients"
        self._gradient_norms.append(nn.utils.clip_grad_norm_(policy, self.rl.max_grad_norm))
        nn.utils.clip_grad_norm_(critic, self.rl.max_grad_norm)
        self._learning_rate = cast(torch.optim.Optimizer, self.optimizer).param_groups[0]["lr"]

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """The policy as it samples: no dropout, no gradients, the adapter merged where that is exact."""
        model = self.policy_model
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), self.accelerator.autocast(), merged_for_sampling(model):
                yield
        finally:
            model.train(was_training)

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Tensor]:
        """Play the iteration's episodes and turn them into the batch that TRL splits and trains on.

        The parent is not called: it would run the model once more for log-probabilities that the sampler
        already gave. To TRL each row's first token is the prompt and all that follows its completion;
        `tool_mask` says which tokens the policy sampled.
        """
        self.clock.restart()
        torch.manual_seed(seed_from(self.run_seed, "update", self.loop.finished))
        with self.sampling():
            episodes = self.loop.hooks.collect(self.loop.finished)
        with self.clock.phase("score"):
            experience = pack_episodes(episodes, pad_token_id(self._tokenizer))
            batch, self._batch_metrics = training_batch(experience, self._scored(experience), self.rl)
        return {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}

    def _scored(self, experience: Experience) -> Scores:
        """Values from one forward, the reference's log-probabilities from another if there is a KL term."""
        model, reference, size = self.policy_model, None, self.rl.micro_batch_size
        with self.sampling():
            values = by_length(
                experience, size, lambda rows: read_values(model, self._hook, self._placed(rows))
            )
            logprobs = experience.logprobs
            if self.rl.top_p < 1.0:  # the sampler's are those of the nucleus, the ratio wants the model's
                logprobs = by_length(experience, size, partial(self._logprobs, model))[:, :-1]
        if self.beta:
            with self._reference() as frozen:
                reference = by_length(experience, size, partial(self._logprobs, frozen))[:, :-1]
        return Scores(values, logprobs, reference)

    def _logprobs(self, model: Any, rows: Rows) -> Tensor:
        hook = self._reference_hook if model is self.ref_model else self._hook
        return score_actions(model, hook, self._placed(rows), read_values=False)[0]

    def _placed(self, rows: Rows) -> Rows:
        return rows.to(self.args.device)

    @contextmanager
    def _reference(self) -> Iterator[Any]:
        """The reference model: the policy with its adapter off, or the frozen copy of a fully trained one."""
        model = self.policy_model
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), self.accelerator.autocast():
                if isinstance(model, PeftModel):
                    with model.disable_adapter():
                        yield model
                else:
                    yield self.ref_model
        finally:
            model.train(was_training)

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Tensor]:
        """The parent's micro-batch; a fresh batch is regrouped by length inside its optimiser steps."""
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is before:
            return inputs
        fresh = cast(list[dict[str, Tensor]], self._buffered_inputs)
        self._buffered_inputs = micro_batches(
            {name: torch.cat([batch[name] for batch in fresh]) for name in fresh[0]},
            num_steps=self.rl.rollout_batch_size // self.rl.mini_batch_size,
            num_batches=self.rl.mini_batch_size // self.rl.micro_batch_size,
        )
        assert len(self._buffered_inputs) == len(fresh), "TRL counts on the number of its micro-batches"
        return self._buffered_inputs[self._step % len(fresh)]

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, **unused: Any
    ) -> tuple[Tensor, Tensor | None, None]:
        """What TRL's loss asks for, scored at action tokens only (TRL would score every token on a CPU)."""
        about, actions = self._micro_batch, self._micro_batch["tool_mask"].bool()
        rows = Rows(input_ids, about["lengths"], about["prompt_lengths"], about["groups"], actions)
        logprobs, entropies = score_actions(model, self._hook, rows, read_values=True)
        self._logprobs_now, self._entropies_now = logprobs.detach(), cast(Tensor, entropies).detach()
        return logprobs, entropies, None

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        """TRL's loss plus the critic's, as this micro-batch's part of the step's mean over tokens."""
        actions = inputs["tool_mask"].bool()
        self._micro_batch = inputs
        num_micro_batches = self.current_gradient_accumulation_steps
        policy_loss = super()._compute_loss(model, inputs) * num_micro_batches
        values = cast(Tensor, self._hook.values)
        value_loss = clipped_value_loss(
            values, inputs["old_values"][actions], inputs["returns"][actions], self.rl.clip_range_value
        ).sum() / actions.sum().clamp(min=1)
        self._record(inputs, actions, value_loss)
        return (policy_loss + self.rl.vf_coef * value_loss) * inputs["share"]

    def _record(self, inputs: dict[str, Tensor], actions: Tensor, value_loss: Tensor) -> None:
        measured = ppo_diagnostics(
            self._logprobs_now[actions],
            inputs["old_per_token_logps"][actions],
            inputs["ref_per_token_logps"][actions] if self.beta else None,
            inputs["advantages"][actions],
            self.rl.clip_range,
        )
        measured["entropy"] = self._entropies_now[actions].sum() / actions.sum().clamp(min=1)
        self._means.add(measured | {"value_loss": value_loss}, inputs["share"])

    def iteration_metrics(self) -> dict[str, float]:
        """Token-weighted means over the iteration's updates, and its seconds by phase."""
        means = self._means.take()
        coefficient = float(self.entropy_coef)
        means["total_loss"] = (
            means["policy_loss"]
            + self.rl.vf_coef * means["value_loss"]
            + self.beta * means.get("kl_divergence", 0.0)
            - coefficient * means["entropy"]
        )
        if not math.isfinite(means["total_loss"]):
            raise StageError(
                f"training diverged in iteration {self.loop.finished}: the loss is {means['total_loss']}; "
                "lower rl_training.learning_rate or rl_training.clip_range, and redo the stage with --force"
            )
        means |= {
            "gradient_norm": float(torch.stack(self._gradient_norms).mean()),
            "entropy_coefficient": coefficient,
            "learning_rate": self._learning_rate,
        }
        self._gradient_norms.clear()
        self._metrics["train"].clear()
        seconds = self.clock.take(rest="update")
        named = {f"rl/{name}": value for name, value in (means | self._batch_metrics).items()}
        return named | {f"time/{name}": value for name, value in seconds.items()}

    def save_best(self, iteration: int) -> None:
        self._save(str(self._best_folder(iteration)))

    def load_best(self) -> None:
        """Put the weights of the best validation back, the critic's with them."""
        iteration = self.loop.stopping.best_iteration
        assert iteration is not None
        super()._load_from_checkpoint(str(self._best_folder(iteration)))
        self._load_critic(self._best_folder(iteration))

    def _best_folder(self, iteration: int) -> Path:
        return self.output_dir / f"best-{iteration}"

    def export(self, folder: Path, sft_adapter: Path, base: str) -> None:
        """Save the policy, as an adapter for the pristine `base` or as a whole model, and the critic."""
        model = self.policy_model
        if isinstance(model, PeftModel):
            save_joined_adapter(model, sft_adapter, folder, base)
        else:
            weights = {name: w for name, w in model.state_dict().items() if not name.startswith("critic.")}
            model.save_pretrained(folder, state_dict=weights)
        self._tokenizer.save_pretrained(folder)
        self._save_critic(folder)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(output_dir or self.output_dir)
        super()._save(str(folder), state_dict)
        self._save_critic(folder)
        write_json(folder / STATE_FILE, asdict(self.loop.stopping))

    def _save_critic(self, folder: Path) -> None:
        save_file(
            {name: w.detach().cpu() for name, w in self.critic.state_dict().items()}, folder / CRITIC_FILE
        )

    def _load_critic(self, folder: Path) -> None:
        self.critic.load_state_dict(load_file(folder / CRITIC_FILE))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        folder = Path(resume_from_checkpoint)
        self._load_critic(folder)
        self.loop.stopping = EarlyStopping(**json.loads((folder / STATE_FILE).read_text()))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The parent's checkpoint; old ones go once it is whole, so that a kill in between leaves one."""
        super()._save_checkpoint(model, trial)
        root = self.output_dir
        steps = sorted(int(path.name.rpartition("-")[2]) for path in root.glob("checkpoint-*"))
        outdated = [root / f"checkpoint-{step}" for step in steps[: -self.rl.save_total_limit]]
        best = self.loop.stopping.best_iteration
        outdated += [path for path in root.glob("best-*") if path.name != f"best-{best}"]
        for path in outdated:
            shutil.rmtree(path)


def _rewards_come_with_the_episodes(**columns: Any) -> list[float | None]:
    """TRL wants a reward function; ours are graded where they are played."""
    raise AssertionError("the episodes are graded already")


def _arguments(config: Config, output_dir: Path, *, beta: float) -> GRPOConfig:
    rl, training = config.rl_training, config.training
    return GRPOConfig(
        output_dir=str(output_dir),
        max_steps=rl.num_rollouts * steps_per_iteration(rl),
        per_device_train_batch_size=rl.micro_batch_size,
        gradient_accumulation_steps=rl.mini_batch_size // rl.micro_batch_size,
        generation_batch_size=rl.rollout_batch_size,
        num_generations=rl.rollout_batch_size,  # the sampler repeats one empty row; PPO needs no groups
        num_iterations=rl.ppo_epochs,
        max_completion_length=config.model.max_new_tokens,
        temperature=rl.temperature,
        beta=beta,
        epsilon=rl.clip_range,
        entropy_coef=rl.entropy_coef,
        loss_type="bnpo",
        use_bias_correction_kl=True,  # the gradient of the reverse KL, which k3 alone does not have
        scale_rewards="none",
        disable_dropout=True,
        router_aux_loss_coef=0.0,
        shuffle_dataset=False,
        learning_rate=rl.learning_rate,
        weight_decay=rl.weight_decay,
        max_grad_norm=0.0,  # policy and critic are clipped apart, in IterationCallback
        bf16=training.bf16,
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=training.gradient_checkpointing,
        dataloader_pin_memory=False,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        seed=config.seed,
        disable_tqdm=True,
        report_to="none",
    )

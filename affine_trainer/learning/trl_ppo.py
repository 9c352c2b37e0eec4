"""PPO, REINFORCE and GRPO on TRL's GRPOTrainer: the only file that knows the inside of it.

TRL brings the clipped surrogate, the KL and entropy terms, the fused LM head, the optimiser loop and the
checkpoints. Ours are the rollouts, the critic, the advantages and the shape of the batches. Every term of the
loss is a mean over the action tokens of a whole optimiser step, however it is cut into micro-batches.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from peft import PeftModel
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from affine_trainer.config import Config
from affine_trainer.errors import StageError
from affine_trainer.learning.adapters import lora_config, merged_for_sampling, save_joined_adapter
from affine_trainer.learning.backbone_hook import BackboneHook
from affine_trainer.learning.checkpoints import (
    Stateful,
    best_folder,
    drop_outdated,
    load_critic,
    load_state,
    save_critic,
    save_state,
)
from affine_trainer.learning.critic import Critic, clipped_value_loss
from affine_trainer.learning.diagnostics import PhaseClock, RunningMeans, ppo_diagnostics
from affine_trainer.learning.estimators import estimator_of, has_critic
from affine_trainer.learning.experience import Experience, by_length, pack_episodes
from affine_trainer.learning.normaliser import Normaliser
from affine_trainer.learning.optimisation import clip_apart, set_critic_apart
from affine_trainer.learning.packing import Rows
from affine_trainer.learning.ppo_loop import IterationLoop, RunHooks
from affine_trainer.learning.schedules import learning_rate_factor
from affine_trainer.learning.training_batch import Scores, micro_batches, training_batch
from affine_trainer.learning.trl_arguments import grpo_arguments
from affine_trainer.learning.trl_scoring import read_values, score_actions
from affine_trainer.policies.hf import pad_token_id
from affine_trainer.records import seed_from


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
        self.estimator, self.normaliser = estimator_of(rl), Normaliser(rl)
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
            args=grpo_arguments(config, output_dir, beta=rl.kl_coef if use_lora else 0.0),
            train_dataset=Dataset.from_dict({"prompt": [""]}),
            processing_class=tokenizer,
            peft_config=lora_config(config.training) if use_lora else None,
        )
        if reference is not None:
            self._freeze_reference(reference)
        self.remove_callback(PrinterCallback)
        self.add_callback(self.loop)
        language_model = self._language_model
        self.critic = None
        if has_critic(rl):
            size = language_model.config.get_text_config().hidden_size
            self.critic = Critic(size, rl.critic_hidden_size).to(self.accelerator.device)
            language_model.critic = self.critic
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
    def pad_id(self) -> int:
        return pad_token_id(self._tokenizer)

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
        if fresh and self.critic is not None:
            set_critic_apart(optimizer, self.critic, self.rl.critic_learning_rate)
        return optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        if self.lr_scheduler is None:
            factor = learning_rate_factor(self.rl, num_training_steps)
            # A plain function: the scheduler would put the attributes of an object into its checkpoint.
            self.lr_scheduler = LambdaLR(
                cast(torch.optim.Optimizer, optimizer or self.optimizer), lambda step: factor(step)
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def clip_gradients(self) -> None:
        parameters = self.policy_model.parameters()
        self._gradient_norms.append(clip_apart(parameters, self.critic, self.rl.max_grad_norm))
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
            experience = pack_episodes(episodes, self.pad_id)
            batch, self._batch_metrics = training_batch(
                experience, self.scored(experience), self.estimator, self.normaliser
            )
        return {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}

    def scored(self, experience: Experience) -> Scores:
        """Values from one forward, the reference's log-probabilities from another if there is a KL term."""
        model, size = self.policy_model, self.rl.micro_batch_size
        values = reference = None
        with self.sampling():
            if self.critic is not None:
                values = by_length(
                    experience, size, lambda rows: read_values(model, self._hook, self._placed(rows))
                )
            logprobs = experience.logprobs
            if self.rl.top_p < 1.0:  # the sampler's are those of the nucleus, the ratio wants the model's
                logprobs = by_length(experience, size, partial(self._logprobs, model))[:, :-1]
        if self.rl.kl_coef:
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
        self._micro_batch = inputs
        seen = dict(inputs)
        if self.rl.algorithm == "reinforce":
            # TRL then divides by the policy's own probability: a ratio of 1 whose gradient is log pi's.
            del seen["old_per_token_logps"]
        loss = super()._compute_loss(model, seen) * self.current_gradient_accumulation_steps
        measured = self._measured(inputs)
        if self.critic is not None:
            measured["value_loss"] = self._value_loss(inputs)
            loss = loss + self.rl.vf_coef * measured["value_loss"]
        self._means.add(measured, inputs["share"])
        return loss * inputs["share"]

    def _value_loss(self, inputs: dict[str, Tensor]) -> Tensor:
        """The mean over the micro-batch's action tokens, of the values its forward pass read."""
        actions, values = inputs["tool_mask"].bool(), cast(Tensor, self._hook.values)
        old_values, returns = inputs["old_values"][actions], inputs["returns"][actions]
        losses = clipped_value_loss(values, old_values, returns, self.rl.clip_range_value)
        return losses.sum() / actions.sum().clamp(min=1)

    def _measured(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        actions = inputs["tool_mask"].bool()
        measured = ppo_diagnostics(
            self._logprobs_now[actions],
            inputs["old_per_token_logps"][actions],
            inputs["ref_per_token_logps"][actions] if self.rl.kl_coef else None,
            inputs["advantages"][actions],
            None if self.rl.algorithm == "reinforce" else self.rl.clip_range,
        )
        return measured | {"entropy": self._entropies_now[actions].sum() / actions.sum().clamp(min=1)}

    def iteration_metrics(self) -> dict[str, float]:
        """Token-weighted means over the iteration's updates, and its seconds by phase."""
        means, coefficient = self._means.take(), float(self.entropy_coef)
        means["total_loss"] = (
            means["policy_loss"]
            + self.rl.vf_coef * means.get("value_loss", 0.0)
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
            "kl_coefficient": self.beta,
            "learning_rate": self._learning_rate,
        }
        self._gradient_norms.clear()
        self._metrics["train"].clear()
        seconds = self.clock.take(rest="update")
        named = {f"rl/{name}": value for name, value in means.items()} | self._batch_metrics
        return named | {f"time/{name}": value for name, value in seconds.items()}

    @property
    def _parts(self) -> dict[str, Stateful]:
        """What must be as it was, for what follows to be the same: all but the count of validations."""
        return {"normaliser": self.normaliser, **self.loop.hooks.parts}

    def save_best(self, iteration: int) -> None:
        self._save(str(best_folder(self.output_dir, iteration)))

    def load_best(self) -> None:
        """Put the weights of the best validation back, and the critic and running moments of that time."""
        iteration = self.loop.stopping.best_iteration
        assert iteration is not None
        folder = best_folder(self.output_dir, iteration)
        super()._load_from_checkpoint(str(folder))
        load_critic(self.critic, folder)
        load_state(self._parts, folder)

    def load(self, folder: Path) -> None:
        """The weights, critic and parts of a checkpoint or of the best weights, to look at them."""
        self._load_from_checkpoint(str(folder))

    def trained_parameters(self) -> list[Tensor]:
        """Those of the policy that learn, the critic's left out."""
        critic = [] if self.critic is None else self.critic.parameters()
        apart = {id(parameter) for parameter in critic}
        return [p for p in self.policy_model.parameters() if p.requires_grad and id(p) not in apart]

    def logprobs_with_gradients(self, rows: Rows) -> Tensor:
        """Of the sampled tokens, (b, W - 1) and zero elsewhere, as the update has them."""
        with self.accelerator.autocast():
            return score_actions(self.policy_model, self._hook, self._placed(rows), read_values=False)[0]

    def export(self, folder: Path, sft_adapter: Path, base: str) -> None:
        """Save the policy, as an adapter for the pristine `base` or as a whole model, and the critic."""
        model = self.policy_model
        if isinstance(model, PeftModel):
            save_joined_adapter(model, sft_adapter, folder, base)
        else:
            weights = {name: w for name, w in model.state_dict().items() if not name.startswith("critic.")}
            model.save_pretrained(folder, state_dict=weights)
        self._tokenizer.save_pretrained(folder)
        save_critic(self.critic, folder)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(output_dir or self.output_dir)
        super()._save(str(folder), state_dict)
        save_critic(self.critic, folder)
        save_state(self._parts | {"stopping": self.loop.stopping}, folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        folder = Path(resume_from_checkpoint)
        load_critic(self.critic, folder)
        load_state(self._parts | {"stopping": self.loop.stopping}, folder)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The parent's checkpoint; old ones go once it is whole, so that a kill in between leaves one."""
        super()._save_checkpoint(model, trial)
        best = self.loop.stopping.best_iteration
        drop_outdated(self.output_dir, keep=self.rl.save_total_limit, best_iteration=best)


def _rewards_come_with_the_episodes(**columns: Any) -> list[float | None]:
    """TRL wants a reward function; ours are graded where they are played."""
    raise AssertionError("the episodes are graded already")

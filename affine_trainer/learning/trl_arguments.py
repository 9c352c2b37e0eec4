"""TRL's settings for a run: how its loop splits an iteration, and what of its own is left off."""

from __future__ import annotations

from pathlib import Path

import torch
from trl.trainer.grpo_config import GRPOConfig

from affine_trainer.config import Config
from affine_trainer.learning.ppo_loop import steps_per_iteration


def grpo_arguments(config: Config, output_dir: Path, *, beta: float) -> GRPOConfig:
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
        max_grad_norm=0.0,  # policy and critic are clipped apart, by clip_gradients
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

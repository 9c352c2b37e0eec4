"""The token ids and log-probabilities of the last few RL iterations, in one safetensors file each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from affine_trainer.records import Episode


def save_tokens(folder: Path, iteration: int, episodes: Sequence[Episode], keep: int) -> None:
    """Write `folder`/iteration-NNNNNN.safetensors and delete all but the last `keep` such files.

    Episodes lie end to end: episode i owns positions `offsets[i]` to `offsets[i + 1]` of `token_ids`,
    `action_mask` and `logprobs`. The metadata key `task_keys` is a JSON list in the same order.
    """
    if keep > 0:
        conversations = [e.conversation for e in episodes if e.conversation is not None]
        lengths = [0, *(len(c.token_ids) for c in conversations)]
        tensors = {
            "offsets": torch.tensor(lengths).cumsum(0),
            "token_ids": torch.tensor([t for c in conversations for t in c.token_ids], dtype=torch.int32),
            "action_mask": torch.tensor([m for c in conversations for m in c.action_mask], dtype=torch.uint8),
            "logprobs": torch.tensor([p for c in conversations for p in c.logprobs], dtype=torch.float32),
        }
        folder.mkdir(parents=True, exist_ok=True)
        keys = [e.task_key for e in episodes if e.conversation is not None]
        save_file(tensors, _shard(folder, iteration), metadata={"task_keys": json.dumps(keys)})
    for path in folder.glob("iteration-*.safetensors"):
        if path not in {_shard(folder, n) for n in range(iteration - keep + 1, iteration + 1)}:
            path.unlink()


def _shard(folder: Path, iteration: int) -> Path:
    return folder / f"iteration-{iteration:06d}.safetensors"

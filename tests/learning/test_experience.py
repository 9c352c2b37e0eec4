"""Episodes as tensors, batches by length, the task mix, token shards."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from affine_trainer.errors import StageError
from affine_trainer.learning.experience import by_length, pack_episodes, share_out
from affine_trainer.learning.packing import Rows
from affine_trainer.learning.task_mix import TaskMix
from affine_trainer.learning.token_shards import save_tokens
from affine_trainer.learning.training_batch import micro_batches
from affine_trainer.records import Conversation, Episode, Grade, Turn


def episode(ids: list[int], mask: list[int], rewards: list[float], **changes: object) -> Episode:
    """An episode of one turn a reward, whose log-probabilities are minus the token ids."""
    conversation = Conversation(
        [], ids, mask, [-float(i) if m else 0.0 for i, m in zip(ids, mask, strict=True)]
    )
    played = Episode(
        task_key="toy:repeat@digits/1",
        content_sha256="",
        policy="test",
        turns=[Turn("", "x", reward, 1) for reward in rewards],
        grade=Grade(sum(rewards), True, ""),
        stop_reason="terminated",
        error=None,
        num_prompt_tokens=1,
        num_completion_tokens=sum(mask),
        seconds=0.0,
        conversation=conversation,
    )
    return replace(played, **changes)


def test_columns_speak_of_the_next_token_and_rewards_sit_on_the_last_token_of_their_turn() -> None:
    two_turns = episode([5, 6, 7, 8, 9], [0, 1, 1, 0, 1], [0.25, 0.5], stop_reason="turn_limit")
    one_turn = episode([5, 6], [0, 1], [1.0])
    packed = pack_episodes([two_turns, one_turn], pad_id=0)
    assert packed.token_ids.tolist() == [[5, 6, 7, 8, 9], [5, 6, 0, 0, 0]]
    assert packed.lengths.tolist() == [5, 2]
    assert packed.action_mask.tolist() == [[1, 1, 0, 1], [1, 0, 0, 0]]
    assert packed.logprobs.tolist() == [[-6, -7, 0, -9], [-6, 0, 0, 0]]
    assert packed.rewards.tolist() == [[0, 0.25, 0, 0.5], [1, 0, 0, 0]]
    assert packed.turn_end.tolist() == [[0, 1, 0, 1], [1, 0, 0, 0]]
    assert packed.cut_off.tolist() == [True, False]


def test_an_ungraded_episode_keeps_its_row_without_a_token_to_learn_from() -> None:
    broken = episode([5, 6, 7], [0, 1, 1], [0.0], grade=None, error="the sandbox failed")
    packed = pack_episodes([episode([5, 6], [0, 1], [1.0]), broken], pad_id=0)
    assert packed.num_episodes == 2
    assert packed.action_mask[1].sum() == 0


def test_a_batch_of_nothing_but_ungraded_episodes_says_why() -> None:
    broken = episode([5, 6, 7], [0, 1, 1], [0.0], grade=None, error="the sandbox failed")
    with pytest.raises(StageError, match=r"none of the 2 episodes .* the sandbox failed"):
        pack_episodes([broken, broken], pad_id=0)


def test_micro_batches_keep_steps_apart_group_by_length_trim_padding_and_share_out_tokens() -> None:
    lengths = torch.tensor([9, 3, 8, 2, 5, 5, 5, 5])
    mask = (torch.arange(1, 9) < lengths[:, None]).long()
    batch = {
        "lengths": lengths,
        "prompt_lengths": torch.ones(8, dtype=torch.long),
        "groups": torch.arange(8),
        "tool_mask": mask,
        "prompt_ids": torch.arange(8)[:, None],
        "advantages": torch.arange(8.0)[:, None].expand(8, 8),
    }
    batches = micro_batches(batch, num_steps=2, num_batches=2)
    assert [b["prompt_ids"].flatten().tolist() for b in batches] == [[3, 1], [2, 0], [4, 5], [6, 7]]
    assert [b["advantages"].shape[1] for b in batches] == [2, 8, 4, 4]
    assert all(torch.equal(b["advantages"][:, :1], b["prompt_ids"].float()) for b in batches)
    shares = [float(b["share"]) for b in batches]
    assert shares == pytest.approx([3 / 18, 15 / 18, 0.5, 0.5])


def test_by_length_puts_rows_back_where_they_came_from() -> None:
    rows = [episode(list(range(5, 5 + n)), [0] + [1] * (n - 1), [0.0]) for n in (4, 2, 6, 3, 2)]
    packed = pack_episodes(rows, pad_id=0)
    widths = []

    def forward(rows: Rows) -> torch.Tensor:
        widths.append(rows.ids.shape[1])
        assert rows.actions.sum(dim=1).tolist() == (rows.lengths - 1).tolist()
        return rows.ids.float()

    assert torch.equal(by_length(packed, 2, forward), packed.token_ids.float())
    assert widths == [3, 6]


def test_rows_with_the_same_long_prompt_are_a_group_that_no_part_tears_apart() -> None:
    prompt, mask = [7, 8, 9, 7, 8], [0] * 5
    rows = [episode([*prompt, 5], [*mask, 1], [1.0]) for _ in range(3)]
    other = episode([*prompt[:4], 6, 5], [*mask, 1], [1.0])
    short = [episode([7, *[5] * 6], [0, *[1] * 6], [1.0]) for _ in range(2)]
    groups = pack_episodes([*rows, other, *short], pad_id=0).groups.tolist()
    assert groups == [0, 0, 0, 1, 2, 3]  # a prompt shorter than what follows is not worth sharing
    assert share_out(groups, 2) == [[0, 1, 2], [3, 4, 5]]
    assert share_out([0, 0, 1, 1, 2, 2], 2) == [[0, 1, 2, 3], [4, 5]]
    assert all(share_out([0] * 5, 2)), "a group larger than a part fills several"


def test_the_mix_keeps_to_its_weights_and_plays_every_task_before_any_twice() -> None:
    indices = {"a": range(100), "b": range(1000, 1010)}
    mix = TaskMix(indices, {"a": 3.0, "b": 1.0}, batch_size=7, seed=0)
    counts: Counter[str] = Counter()
    played: list[int] = []
    for iteration in range(20):
        drawn = mix.draw(iteration)
        counts.update({name: len(group) for name, group in drawn.items()})
        played += drawn.get("b", [])
        total = 7 * (iteration + 1)
        assert abs(counts["a"] - 0.75 * total) < 1
    assert sorted(played[:10]) == list(indices["b"]) == sorted(played[10:20])
    assert played[:10] != played[10:20]


def test_a_rare_set_sits_out_until_it_fills_a_batch_of_its_own() -> None:
    shares = {"a": 1.0, "b": 1.0, "c": 0.1}
    mix = TaskMix(dict.fromkeys(shares, range(10_000)), shares, batch_size=40, seed=0, least=8)
    drawn = [{name: len(group) for name, group in mix.draw(n).items()} for n in range(42)]
    assert all(sum(counts.values()) == 40 for counts in drawn)
    assert {counts.get("c", 0) for counts in drawn} == {0, 8}
    totals = {name: sum(counts.get(name, 0) for counts in drawn) for name in shares}
    assert all(abs(totals[name] - 1680 * share / 2.1) <= 8 for name, share in shares.items())


def test_rare_sets_that_are_due_together_come_one_after_the_other() -> None:
    shares = {"a": 10.0, "b": 0.15, "c": 0.15, "d": 0.2}
    mix = TaskMix(dict.fromkeys(shares, range(10_000)), shares, batch_size=64, seed=0, least=8)
    drawn = [{name: len(group) for name, group in mix.draw(n).items()} for n in range(105)]
    assert all(sum(counts.values()) == 64 and len(counts) <= 2 for counts in drawn)
    totals = {name: sum(counts.get(name, 0) for counts in drawn) for name in shares}
    assert all(abs(totals[name] - 6720 * share / 10.5) <= 16 for name, share in shares.items())


def test_the_mix_of_an_iteration_does_not_depend_on_what_was_drawn_before() -> None:
    indices, weights = {"a": range(30), "b": range(9)}, {"a": 1.0, "b": 1.0}
    one = TaskMix(indices, weights, batch_size=8, seed=3)
    other = TaskMix(indices, weights, batch_size=8, seed=3)
    in_order = [one.draw(n) for n in range(12)]
    assert [other.draw(n) for n in reversed(range(12))] == in_order[::-1]
    assert TaskMix(indices, weights, batch_size=8, seed=4).draw(0) != in_order[0]


def test_only_the_last_shards_are_kept_and_they_hold_every_token(tmp_path: Path) -> None:
    rows = [episode([5, 6, 7], [0, 1, 1], [1.0]), episode([8, 9], [0, 1], [0.0])]
    for iteration in (1, 2, 3):
        save_tokens(tmp_path, iteration, rows, keep=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["iteration-000002.safetensors", "iteration-000003.safetensors"]
    with safe_open(tmp_path / names[1], "pt") as shard:
        assert shard.get_tensor("token_ids").tolist() == [5, 6, 7, 8, 9]
        assert shard.get_tensor("offsets").tolist() == [0, 3, 5]
        assert shard.get_tensor("logprobs").tolist() == [0, -6, -7, 0, -9]
        assert json.loads(shard.metadata()["task_keys"]) == ["toy:repeat@digits/1"] * 2
    save_tokens(tmp_path, 4, rows, keep=0)
    assert not list(tmp_path.iterdir())

"""Sampling from a model: against transformers' own generation, against teacher forcing, and by seed."""

from __future__ import annotations

import dataclasses
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen3ForCausalLM

from affine_trainer.config import Config, ModelConfig
from affine_trainer.errors import AffineError
from affine_trainer.policies.decoding import Decoded, decode, draw
from affine_trainer.policies.hf import (
    HFPolicy,
    encode_completion,
    encode_observation,
    encode_prompt,
    load_policy,
    model_path,
    stop_token_ids,
)
from affine_trainer.policies.open_rows import Prompt, prefill_groups
from affine_trainer.records import Conversation, Message, Sampling
from tests.tiny_model import save_tiny_model, tiny_model, tiny_tokenizer

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=30, seed=0)
SAMPLED = Sampling(temperature=0.8, top_p=1.0, max_new_tokens=30, seed=5)
# A fifth of the vocabulary ends a completion, so that rows leave the batch at very different steps.
STOPS = frozenset(range(3, 261, 5))


def some_prompts(count: int = 24) -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, 60, (count,), generator=generator).tolist()
    return [torch.randint(5, 261, (length,), generator=generator).tolist() for length in lengths]


def run(model: Qwen3ForCausalLM, prompts: list[list[int]], sampling: Sampling) -> list[Decoded]:
    return decode(model, list(map(Prompt, prompts)), sampling, stop_ids=STOPS, pad_id=0)


def teacher_forced(model: Qwen3ForCausalLM, prompt: list[int], reply: list[int]) -> torch.Tensor:
    """Logits that a plain forward pass gives for every token of the reply."""
    with torch.no_grad():
        return model(torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1].float()


def policy(max_prompt_tokens: int = 400, seed: int = 0) -> HFPolicy:
    return HFPolicy(tiny_model(seed), tiny_tokenizer(), name="tiny", max_prompt_tokens=max_prompt_tokens)


def conversations(*texts: str) -> list[Conversation]:
    return [Conversation([Message("user", text)]) for text in texts]


def config_with(**model: object) -> Config:
    return Config(model=ModelConfig.model_validate({"max_prompt_tokens": 300, "max_new_tokens": 20} | model))


@pytest.mark.parametrize("overrides", [{}, {"layer_types": ["sliding_attention"] * 2, "sliding_window": 16}])
def test_greedy_equals_the_generate_of_transformers_row_by_row(overrides: dict) -> None:
    model = tiny_model(1, **({"use_sliding_window": True} | overrides if overrides else {}))
    prompts = some_prompts()
    decoded = run(model, prompts, GREEDY)
    lengths = {len(result.token_ids) for result in decoded}
    assert len(lengths) > 3, "the rows must end at different steps for this test to mean anything"
    for prompt, result in zip(prompts, decoded, strict=True):
        expected = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=30, eos_token_id=sorted(STOPS)
        )
        assert result.token_ids == expected[0, len(prompt) :].tolist()
        assert result.stopped == (result.token_ids[-1] in STOPS)


def test_completions_longer_than_the_caches_spare_columns_stay_right() -> None:
    model, prompts = tiny_model(2), some_prompts(6)
    sampling = dataclasses.replace(GREEDY, max_new_tokens=150)
    decoded = decode(model, list(map(Prompt, prompts)), sampling, stop_ids={260}, pad_id=0)
    for prompt, result in zip(prompts, decoded, strict=True):
        logits = teacher_forced(model, prompt, result.token_ids)
        assert logits.argmax(dim=-1).tolist() == result.token_ids


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_sampled_logprobs_equal_those_of_a_teacher_forced_forward(top_p: float) -> None:
    model, prompts = tiny_model(), some_prompts()
    sampling = dataclasses.replace(SAMPLED, top_p=top_p)
    for prompt, result in zip(prompts, run(model, prompts, sampling), strict=True):
        expected = reference_logprobs(teacher_forced(model, prompt, result.token_ids), sampling)
        chosen = expected.gather(1, torch.tensor(result.token_ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(result.logprobs), chosen, atol=1e-4, rtol=0)


def reference_logprobs(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Temperature, then the nucleus token by token, in plain Python."""
    rows = []
    for row in torch.softmax(logits / sampling.temperature, dim=-1):
        kept, mass = torch.zeros_like(row), 0.0
        for token in row.argsort(descending=True).tolist():
            if mass >= sampling.top_p:
                break
            kept[token] = row[token]
            mass += float(row[token])
        rows.append((kept / kept.sum()).log())
    return torch.stack(rows)


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.5, 0.0, 0.2, 0.3])
    uniforms = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    tokens, logprobs = draw(
        probabilities.log().expand(10_000, 4), uniforms, dataclasses.replace(SAMPLED, temperature=1.0)
    )
    shares = torch.bincount(tokens, minlength=4) / 10_000
    torch.testing.assert_close(shares, probabilities, atol=2e-4, rtol=0)
    torch.testing.assert_close(logprobs.exp(), probabilities[tokens])


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_broken_weights_are_named_instead_of_sampled_from(sampling: Sampling) -> None:
    model = tiny_model()
    torch.nn.init.constant_(model.model.norm.weight, float("nan"))
    with pytest.raises(AffineError, match="not a number"):
        run(model, some_prompts(3), sampling)


def test_the_seed_alone_decides_what_is_sampled() -> None:
    model, prompts = tiny_model(), some_prompts()
    first, again = run(model, prompts, SAMPLED), run(model, prompts, SAMPLED)
    other = run(model, prompts, dataclasses.replace(SAMPLED, seed=6))
    assert first == again
    assert [result.token_ids for result in first] != [result.token_ids for result in other]


def test_a_rows_draws_do_not_depend_on_when_the_other_rows_end() -> None:
    model, prompts = tiny_model(), some_prompts()
    early = run(model, prompts, SAMPLED)
    late = decode(model, list(map(Prompt, prompts)), SAMPLED, stop_ids=frozenset(), pad_id=0)
    for ended, unending in zip(early, late, strict=True):
        assert unending.token_ids[: len(ended.token_ids)] == ended.token_ids


class TokensRead(torch.nn.Module):
    """A model that counts the tokens of every forward, padding included."""

    def __init__(self, model: Qwen3ForCausalLM) -> None:
        super().__init__()
        self.model, self.config, self.device = model, model.config, model.device
        self.counts: list[int] = []

    def forward(self, input_ids: torch.Tensor, **rest: object) -> object:
        self.counts.append(input_ids.numel())
        return self.model(input_ids=input_ids, **rest)


def test_a_prompt_that_others_begin_with_is_read_as_a_part_of_them() -> None:
    """Beginnings of a prompt, each nine times: the same tokens as each on its own, and read once."""
    long, other = list(range(5, 45)), [7] * 40
    states = [long[:12], long[:25], long[:39], long[:40], other]
    model = TokensRead(tiny_model())
    copies = [prompt for prompt in states for _ in range(9)]
    for sampling in (GREEDY, SAMPLED):
        model.counts.clear()
        together = decode(model, list(map(Prompt, copies)), sampling, stop_ids=STOPS, pad_id=0)
        assert model.counts[:2] == [40 + 40, 3]  # the longest of each kind, then a token for each beginning
        assert len({tuple(result.token_ids) for result in together}) > 3
        for prompt, result in zip(copies, together, strict=True):
            logits = teacher_forced(tiny_model(), prompt, result.token_ids)
            if sampling is GREEDY:
                assert result.token_ids == logits.argmax(dim=-1).tolist()
            else:
                logprobs = torch.log_softmax(logits / sampling.temperature, dim=-1)
                found = logprobs[torch.arange(len(logits)), result.token_ids]
                torch.testing.assert_close(torch.tensor(result.logprobs), found, atol=1e-4, rtol=1e-4)


def test_a_reply_that_is_begun_is_finished_as_one_of_a_single_piece() -> None:
    player, [talk, other] = policy(), conversations("a question", "another")
    whole = player.reply([talk, other], dataclasses.replace(GREEDY, max_new_tokens=16))
    for begun in (1, 7, 15):
        first = len(talk.token_ids) - len(whole[0].token_ids)
        again = Conversation([Message("user", "a question")], begun=begun)
        again.token_ids = talk.token_ids[: first + begun]
        again.action_mask, again.logprobs = talk.action_mask[: first + begun], talk.logprobs[: first + begun]
        fresh = conversations("another")[0]
        finished = player.reply([fresh, again], dataclasses.replace(GREEDY, max_new_tokens=16))
        assert finished == [whole[1], whole[0]]
        assert (again.token_ids, again.action_mask, again.messages) == (
            talk.token_ids,
            talk.action_mask,
            talk.messages,
        )
        assert again.begun == 0


def test_prompts_are_read_in_groups_of_similar_length_that_cover_the_batch() -> None:
    groups = prefill_groups([1, 2, 3, 50, 60, 70, 500], max_tokens=150, overhead=15)
    assert groups == [range(0, 3), range(3, 4), range(4, 6), range(6, 7)]


@pytest.mark.parametrize("overhead", [0, 7, 40, 10**6])
def test_no_other_grouping_of_the_prompts_is_cheaper(overhead: int) -> None:
    lengths, most = sorted([1, 1, 1, 3, 9, 9, 10, 14, 30, 31]), 60

    def cost(groups: list[range]) -> int:
        return sum(overhead + lengths[group[-1]] * len(group) for group in groups)

    cuts = [
        [range(start, stop) for start, stop in pairwise([0, *places, len(lengths)])]
        for count in range(len(lengths))
        for places in combinations(range(1, len(lengths)), count)
    ]
    allowed = [
        groups for groups in cuts if all(lengths[g[-1]] * len(g) <= most or len(g) == 1 for g in groups)
    ]
    assert cost(prefill_groups(lengths, most, overhead)) == min(map(cost, allowed))


@pytest.mark.parametrize("max_rows", [1, 3, 8, 23])
@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_replies_do_not_depend_on_how_many_are_sampled_side_by_side(
    sampling: Sampling, max_rows: int
) -> None:
    """Others take the places of those that end, and what was sampled before goes on from where it was."""
    model, prompts = tiny_model(), some_prompts()
    together = run(model, prompts, sampling)
    rows = RowsRead(model)
    few = decode(rows, list(map(Prompt, prompts)), sampling, stop_ids=STOPS, pad_id=0, max_rows=max_rows)
    assert [found.token_ids for found in few] == [found.token_ids for found in together]
    for found, expected in zip(few, together, strict=True):
        assert found.stopped == expected.stopped and found.read is None
        assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert max(rows.counts) <= max_rows
    if max_rows == 8:
        one_after_the_other = sum(
            max(len(found.token_ids) for found in together[start : start + 8]) for start in (0, 8, 16)
        )
        assert rows.num_steps < 0.85 * one_after_the_other


class RowsRead(torch.nn.Module):
    """A model that counts the rows of every forward, and the passes that read a token a row."""

    def __init__(self, model: Qwen3ForCausalLM) -> None:
        super().__init__()
        self.model, self.config, self.device = model, model.config, model.device
        self.counts: list[int] = []
        self.num_steps = 0

    def forward(self, input_ids: torch.Tensor, **rest: object) -> object:
        self.counts.append(len(input_ids))
        self.num_steps += input_ids.shape[1] == 1
        return self.model(input_ids=input_ids, **rest)


def test_what_was_read_stays_for_the_next_turn_whoever_was_sampled_beside_it() -> None:
    model, prompts = tiny_model(), some_prompts()
    options = {"stop_ids": STOPS, "pad_id": 0, "keep_read": True}
    few = decode(model, list(map(Prompt, prompts)), SAMPLED, max_rows=5, **options)
    for prompt, found in zip(prompts, few, strict=True):
        assert found.read is not None and found.read.count == len(prompt) + len(found.token_ids) - 1
        # Nothing of the batch that it was read in is held beside it.
        assert all(keys.shape[1] == found.read.count for keys, _ in found.read.layers)
    later = [[*prompt, *found.token_ids, 9, 10] for prompt, found in zip(prompts, few, strict=True)]
    prompted = [Prompt(ids, found.read) for ids, found in zip(later, few, strict=True)]
    again = decode(model, prompted, GREEDY, max_rows=4, **options)
    for ids, found in zip(later, again, strict=True):
        assert found.token_ids == teacher_forced(model, ids, found.token_ids).argmax(dim=-1).tolist()


def test_a_model_with_a_sliding_window_is_sampled_batch_after_batch() -> None:
    model = tiny_model(1, use_sliding_window=True, layer_types=["sliding_attention"] * 2, sliding_window=16)
    prompts = some_prompts()
    few = decode(model, list(map(Prompt, prompts)), GREEDY, stop_ids=STOPS, pad_id=0, max_rows=7)
    for prompt, found in zip(prompts, few, strict=True):
        assert found.token_ids == teacher_forced(model, prompt, found.token_ids).argmax(dim=-1).tolist()


def test_a_reply_appends_its_tokens_to_the_conversation() -> None:
    talks = conversations("a", "some longer text")
    completions = policy().reply(talks, SAMPLED)
    for talk, completion in zip(talks, completions, strict=True):
        size = len(completion.token_ids)
        assert talk.token_ids[:-size] == encode_prompt(tiny_tokenizer(), talk.messages[:1])
        assert talk.token_ids[-size:] == list(completion.token_ids)
        assert talk.action_mask == [0] * (len(talk.token_ids) - size) + [1] * size
        assert talk.logprobs[-size:] == list(completion.logprobs)
        assert len(talk.logprobs) == len(talk.token_ids)
        assert talk.messages[-1] == Message("assistant", completion.text)


def test_a_later_turn_keeps_the_sampled_ids_and_appends_the_observation() -> None:
    player, talks = policy(), conversations("a", "b")
    player.reply(talks, SAMPLED)
    before = [list(talk.token_ids) for talk in talks]
    for talk in talks:
        talk.messages.append(Message("user", "next"))
    completions = player.reply(talks, SAMPLED)
    for talk, old, completion in zip(talks, before, completions, strict=True):
        suffix = encode_observation(tiny_tokenizer(), "next", stopped=old[-1] in player.stop_ids)
        assert talk.token_ids == [*old, *suffix, *completion.token_ids]


@pytest.mark.parametrize("goes_on", [True, False])
def test_every_turn_answers_as_a_forward_over_the_whole_conversation_would(goes_on: bool) -> None:
    player = policy()
    talks = conversations("a", "a", "a longer question than the others", "b", "c")
    for talk in talks:
        talk.goes_on = goes_on
    for turn in range(4):
        before = [list(talk.token_ids) for talk in talks]
        completions = player.reply(talks, dataclasses.replace(SAMPLED, seed=turn, max_new_tokens=12))
        for talk, old, completion in zip(talks, before, completions, strict=True):
            assert (talk.cache is not None) is goes_on
            given = talk.token_ids[: len(talk.token_ids) - len(completion.token_ids)]
            assert given[: len(old)] == old
            logits = teacher_forced(tiny_model(), given, list(completion.token_ids))
            logprobs = torch.log_softmax(logits / SAMPLED.temperature, dim=-1)
            chosen = logprobs.gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
            assert torch.allclose(chosen, torch.tensor(completion.logprobs), atol=1e-4)
            talk.messages.append(Message("user", "next" * (1 + len(completion.token_ids) % 3)))
        talks = talks[1:] if turn == 1 else talks  # a conversation that ended leaves the batch


def test_batches_may_mix_prompts_read_in_part_with_fresh_ones() -> None:
    model, prompts = tiny_model(), some_prompts(12)
    long = dataclasses.replace(SAMPLED, max_new_tokens=150)  # beyond the cache's spare columns
    first = decode(model, list(map(Prompt, prompts)), long, stop_ids=STOPS, pad_id=0, keep_read=True)
    again = [
        ids + list(found.token_ids) + [7] * (1 + place)
        for place, (ids, found) in enumerate(zip(prompts, first, strict=True))
    ]
    read = [found.read if place % 3 else None for place, found in enumerate(first)]
    assert any(read) and not all(read) and all(found.read for found in first)
    mixed = decode(model, list(map(Prompt, again, read)), GREEDY, stop_ids=STOPS, pad_id=0)
    for ids, found in zip(again, mixed, strict=True):
        logits = teacher_forced(model, ids, list(found.token_ids))
        assert torch.equal(logits.argmax(dim=-1), torch.tensor(found.token_ids))


def test_prompt_reply_and_observation_join_to_the_chat_template() -> None:
    tokenizer = tiny_tokenizer()
    chat = [Message("user", "q"), Message("assistant", "some reply"), Message("user", "obs")]
    joined = [
        *encode_prompt(tokenizer, chat[:1]),
        *encode_completion(tokenizer, "some reply"),
        *encode_observation(tokenizer, "obs", stopped=True),
    ]
    assert joined == encode_prompt(tokenizer, chat)
    assert encode_observation(tokenizer, "obs", stopped=False)[0] == tokenizer.eos_token_id


def test_a_prompt_over_the_limit_is_refused_with_its_length() -> None:
    with pytest.raises(AffineError, match=r"has 23 tokens, more than model.max_prompt_tokens = 20"):
        policy(max_prompt_tokens=20).reply(conversations("x" * 20), GREEDY)


def test_replying_leaves_a_model_in_training_mode_as_it_was() -> None:
    player = policy()
    player.model.train()
    player.reply(conversations("a"), GREEDY)
    assert player.model.training


def test_a_saved_model_answers_as_the_one_in_memory(tmp_path: Path) -> None:
    loaded = load_policy(str(save_tiny_model(tmp_path / "model")), config_with(), "loaded")
    assert loaded.name == "loaded"
    assert loaded.reply(conversations("a", "bc"), GREEDY) == policy().reply(conversations("a", "bc"), GREEDY)
    assert loaded.stop_ids == stop_token_ids(tiny_model(), tiny_tokenizer())


def test_an_adapter_folder_loads_on_the_configured_base(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    adapted = get_peft_model(tiny_model(), LoraConfig(r=4, target_modules=["q_proj", "up_proj"]))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    loaded = load_policy(str(tmp_path / "adapter"), config_with(name=str(base)), "adapter")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        expected = adapted.eval()(ids).logits
        torch.testing.assert_close(loaded.model(ids).logits, expected, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(tiny_model()(ids).logits, expected, atol=1e-2)


def test_an_adapter_on_a_base_of_another_shape_is_refused(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    other = get_peft_model(tiny_model(hidden_size=48), LoraConfig(r=4, target_modules=["q_proj"]))
    other.save_pretrained(tmp_path / "adapter")
    with pytest.raises(AffineError, match=r"does not load on model.name"):
        load_policy(str(tmp_path / "adapter"), config_with(name=str(base)), "adapter")


@pytest.mark.parametrize("name", ["models/run/nowhere", "./nowhere", "/nowhere/at/all", "tests/nowhere"])
def test_a_folder_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(AffineError, match=rf"the model folder {name} does not exist"):
        load_policy(name, config_with(), "x")


def test_a_file_and_an_empty_folder_are_refused_as_models(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AffineError, match="is a file"):
        load_policy(str(tmp_path / "file"), config_with(), "x")
    with pytest.raises(AffineError, match=r"cannot load the folder .*empty"):
        load_policy(str(tmp_path / "empty"), config_with(), "x")


def test_a_hub_model_that_cannot_be_had_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(AffineError, match="no-such/model is neither a local folder nor a model") as refused:
        load_policy("no-such/model", config_with(), "x")
    assert "\n" not in str(refused.value)


def test_names_without_a_folder_are_hub_ids_and_nano_is_embedded() -> None:
    assert model_path("owner/model") == "owner/model"
    assert model_path("nano").endswith("affine_trainer/nano")


def test_a_model_too_short_for_the_configured_lengths_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    with pytest.raises(AffineError, match="more than the 16384 positions"):
        load_policy(str(folder), config_with(max_prompt_tokens=16384), "x")

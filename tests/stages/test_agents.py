"""The five steps on interactive environments: whole plays collected, learned from, practised, evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from affine_trainer.artifacts import data_dir, log_dir, read_jsonl
from affine_trainer.config import Config, load_config
from affine_trainer.envs.agents.trajectories import Trajectory, trajectories_json
from affine_trainer.errors import AffineError, DataError
from affine_trainer.policies.hf import decode_text
from affine_trainer.records import Message
from affine_trainer.stages import collect as collecting
from affine_trainer.stages.collect import collect
from affine_trainer.stages.compare import compare
from affine_trainer.stages.evaluate import evaluate
from affine_trainer.stages.play import play
from affine_trainer.stages.rl import rl
from affine_trainer.stages.sft import encode_file, sft
from tests.tiny_model import save_tiny_model, tiny_tokenizer

SETTINGS = (
    "model.name=base",
    "model.max_prompt_tokens=3000",
    "model.max_episode_tokens=3500",
    "data.num_samples=24",
    "data.affine.environments=[sat]",
    "data.affine.weights={sat: 1}",
    "data.agentgym.environments=[textcraft, alfworld]",
    "data.agentgym.weights={textcraft: 1, alfworld: 1}",
    "data.agentgym.max_reply_tokens=6",
    "training.num_epochs=1",
    "training.batch_size=4",
    "training.eval_steps=5",
    "rl_training.num_rollouts=2",
    "rl_training.weights={}",
    "rl_training.rollout_batch_size=24",
    "rl_training.samples_per_task=2",
    "rl_training.mini_batch_size=12",
    "rl_training.micro_batch_size=6",
    "rl_training.validation_samples=6",
    "rl_training.validation_frequency=2",
    "evaluation.num_samples=4",
    "evaluation.agent_samples=6",
    "evaluation.batch_size=4",
    "evaluation.max_rounds=3",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """All five steps around a tiny model, in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("agents"))
        patch.setattr(collecting, "MIN_RL_TASKS", 12)
        save_tiny_model(Path("base"))
        config = load_config(None, SETTINGS)
        collect(config)
        sft(config)
        rl(config)
        for model in ("base", "sft", "rl"):
            evaluate(config, model)
        compare(config)
        yield config


def rows_of(config: Config, env: str) -> list[dict]:
    return [row for row in read_jsonl(data_dir(config) / "train.jsonl") if row["environment"] == env]


def test_samples_are_whole_plays_of_an_expert_that_succeeded(finished: Config) -> None:
    for env in ("agentgym:textcraft", "agentgym:alfworld"):
        rows = rows_of(finished, env)
        assert len(rows) >= 6
        for row in rows:
            assert [message["role"] for message in row["prompt"]] == ["user", "assistant", "user"]
            roles = [message["role"] for message in row["completion"]]
            assert roles == ["assistant", "user"] * (len(roles) // 2) + ["assistant"]
            assert all(m["content"].startswith("Action: ") for m in row["completion"][::2])


def test_replies_alone_are_learned_from(finished: Config) -> None:
    path, tokenizer = data_dir(finished) / "train.jsonl", tiny_tokenizer()
    examples = encode_file(path, tokenizer, finished)
    for example, row in zip(examples, read_jsonl(path), strict=True):
        learned = [token for token in example["labels"] if token >= 0]
        replies = [m["content"] for m in row["completion"] if m["role"] == "assistant"]
        assert decode_text(tokenizer, learned) == "".join(replies)
        assert learned.count(tokenizer.eos_token_id) == len(replies)
        chat = tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], return_dict=False)
        assert example["input_ids"] == chat


def test_plays_are_written_as_agenttraj_too(finished: Config) -> None:
    records = json.loads((data_dir(finished) / "agenttraj" / "textcraft@embedded.json").read_text())
    assert len(records) == len(rows_of(finished, "agentgym:textcraft"))
    assert records[0]["item_id"].startswith("textcraft_")


def test_every_environment_is_practised_and_reported(finished: Config) -> None:
    events = [row for row in read_jsonl(log_dir(finished, "rl") / "events.jsonl") if "rl/reward" in row]
    assert len(events) == 2
    names = {"affine:sat@small", "agentgym:textcraft@embedded", "agentgym:alfworld@embedded"}
    assert {key.removeprefix("rl/reward/") for key in events[0] if key.startswith("rl/reward/")} == names
    assert {"rl/return", "rl/turns"} <= set(events[0])


def test_evaluation_plays_by_its_own_round_limit_beside_players_who_do_not_try(finished: Config) -> None:
    folder = log_dir(finished, "eval", "rl")
    summary = json.loads((folder / "evaluation.json").read_text())
    found = summary["per_environment"]["agentgym:alfworld"]
    assert found["num_samples"] == 6
    assert set(found["trivial_policies"]) == {"do-nothing", "random-action"}
    episodes = [row for row in read_jsonl(folder / "episodes.jsonl") if "alfworld" in row["task_key"]]
    assert {len(row["turns"]) for row in episodes} == {3}
    assert all(turn["num_tokens"] <= 6 for row in episodes for turn in row["turns"])
    comparison = json.loads((log_dir(finished, "compare") / "comparison.json").read_text())
    assert "agentgym:textcraft" in comparison["baselines"]["base"]["per_environment"]


def test_a_users_trajectories_are_learned_from_and_never_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(collecting, "MIN_RL_TASKS", 12)
    save_tiny_model(Path("base"))
    opening = (Message("user", "rules"), Message("assistant", "OK."), Message("user", "a page"))
    plays = [
        Trajectory("webshop", item, opening, (Message("assistant", f"Action: click[{item}]"),))
        for item in range(10)
    ]
    Path("plays.json").write_text(trajectories_json(plays))
    config = load_config(None, [*SETTINGS, "data.agentgym.trajectories=[plays.json]"])
    collect(config)
    rows = rows_of(config, "agentgym:webshop")
    assert len(rows) == 9
    assert {row["task_key"].partition("/")[0] for row in rows} == {"agentgym:webshop@server"}
    short = load_config(None, [*SETTINGS, "run=two", "model.max_episode_tokens=40"])
    with pytest.raises(DataError, match=r"plays.json, webshop_0: the play has|can be used"):
        collect(short)


def test_a_task_is_played_in_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    typed = iter(["inventory", "Thought: hm\nAction: inventory"])

    def answer(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    mine = play(load_config(None), "agentgym:textcraft/5", "me")
    assert not mine.success and "in 2 rounds" in mine.why
    experts = play(load_config(None), "agentgym:textcraft/5", "oracle")
    assert experts.success
    assert "score 1, solved" in capsys.readouterr().out
    with pytest.raises(AffineError, match="answered in one reply"):
        play(load_config(None), "affine:sat/5", "me")

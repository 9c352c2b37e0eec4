"""Games as environments: rounds, faults, scores, shaping, snapshots, and the scripted players."""

from __future__ import annotations

import random

import pytest

from affine_trainer.config import load_config
from affine_trainer.envs import task_set
from affine_trainer.envs.agents.players import FLOORS, expert_policy
from affine_trainer.envs.agents.spec import SPECS
from affine_trainer.envs.agents.table import AGENTS
from affine_trainer.records import Sampling, TaskGroup
from affine_trainer.rollout import play

UNUSED = Sampling(0.0, 1.0, 1, seed=0)
NAMES = sorted(set(SPECS) - {"sciworld"})  # whose simulator has tests of its own
EVERY_LEVEL = "data.agentgym.babyai_levels=[]"


def tasks_of(name: str, *overrides: str, purpose: str = "evaluation"):
    return task_set(
        f"agentgym:{name}", "embedded", config=load_config(None, overrides), sandbox=None, purpose=purpose
    )


def played(tasks, policy, count=40):
    group = TaskGroup(tasks, tasks.tasks(tasks.indices("evaluation", count, 0)))
    [episodes] = play([group], policy, UNUSED, seed=0, chunk_size=16)
    return episodes


def total(episode) -> float:
    return sum(turn.reward for turn in episode.turns)


@pytest.mark.parametrize("name", NAMES)
def test_an_expert_far_outdoes_those_who_do_not_try(name: str) -> None:
    tasks = tasks_of(name, "data.agentgym.babyai_levels=[14, 15, 19, 20, 22]")
    expert = played(tasks, expert_policy(thoughts=True))
    floors = [played(tasks, policy) for policy in FLOORS]
    solved = [sum(episode.grade.success for episode in plays) for plays in (expert, *floors)]
    assert solved[0] >= 28 and max(solved[1:]) <= 12 and solved[1] == 0
    assert all(total(episode) == pytest.approx(episode.grade.reward) for episode in expert)
    assert max(len(episode.turns) for episode in expert) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_without_an_action_costs_a_round_and_says_so(name: str) -> None:
    tasks = tasks_of(name, "evaluation.max_rounds=2", EVERY_LEVEL)
    environment = tasks.start(tasks.tasks([5])[0])
    environment.observe()
    first, second = environment.step("let me think"), environment.step("Action: juggle 3 balls")
    assert "no 'Action:'" in first.observation and not first.truncated
    assert second.truncated and not second.terminated
    assert (first.reward, second.reward) == (0.0, 0.0)
    assert environment.grade().why.endswith("it did not end in 2 rounds")


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_brings_back_round_score_and_game(name: str) -> None:
    tasks, rng = tasks_of(name, EVERY_LEVEL), random.Random(3)
    environment = tasks.start(tasks.tasks([7])[0])
    environment.observe()
    environment.step(f"Action: {rng.choice(environment.game.actions())}")
    state = environment.snapshot()
    replies = [f"Action: {rng.choice(environment.game.actions())}" for _ in range(3)]
    first = [environment.step(reply) for reply in replies]
    environment.restore(state)
    assert [environment.step(reply) for reply in replies] == first


@pytest.mark.parametrize("name", NAMES)
def test_potential_shaping_pays_progress_and_takes_it_back_at_the_end(name: str) -> None:
    shaped = tasks_of(name, "rl_training.gamma=1.0", "data.agentgym.max_rounds=10", purpose="training")
    plain = tasks_of(name, "evaluation.max_rounds=10")
    pairs = zip(*(played(t, expert_policy(thoughts=False), 12) for t in (shaped, plain)), strict=True)
    for with_shaping, without in pairs:
        assert with_shaping.grade == without.grade
        if without.stop_reason == "terminated":  # it sums to nothing but the start's own potential
            [task] = plain.tasks([int(without.task_key.rpartition("/")[2])])
            start = plain.start(task).game
            start.observe()
            assert total(with_shaping) == pytest.approx(total(without) - start.progress)
        parts = [turn.reward - turn.info["shaped"] for turn in with_shaping.turns]
        assert sum(parts) == pytest.approx(without.grade.reward)


def test_the_guides_rewards_are_paid_by_the_step() -> None:
    config = ("rl_training.reward_shaping=guide", "data.agentgym.max_rounds=4")
    tasks = tasks_of("webshop", *config, purpose="training")
    environment = tasks.start(tasks.tasks([5])[0])
    environment.observe()
    paid = [environment.step(f"Action: {action}").reward for action in ("search[red]", "click[next >]", "hm")]
    assert paid == [0.1, 0.3, 0.0]
    assert environment.step("nothing").reward == 0.0


@pytest.mark.parametrize(
    ("name", "raw", "score", "earned"),
    [
        ("sciworld", 0.0, 0.5, 0.0),
        ("sciworld", -100.0, 0.0, 0.0),
        ("sciworld", 60.0, 0.8, 0.6),
        ("webshop", 0.75, 0.75, 0.75),
        ("babyai", 3.0, 1.0, 1.0),
    ],
)
def test_raw_scores_are_graded_as_the_validators_do(name, raw, score, earned) -> None:
    spec = SPECS[name]
    assert (spec.score(raw), spec.earned(raw)) == (score, earned)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_rules_fit_their_model(name: str) -> None:
    rules = AGENTS[name].rules()
    assert len(rules.short) <= 120 and 300 <= len(rules.full) <= 1200
    short, full = tasks_of(name), tasks_of(name, "data.agentgym.rules=full")
    assert short.tasks([index_of(name)])[0].prompt[0].content == rules.short
    assert full.tasks([index_of(name)])[0].prompt[0].content == rules.full


def index_of(name: str) -> int:
    return AGENTS[name].games(load_config(None).data.agentgym).indices("evaluation", 1, 0)[0]


def test_a_users_own_wording_is_what_a_player_is_told(tmp_path) -> None:
    (tmp_path / "textcraft.txt").write_text("Craft, please.\n")
    tasks = tasks_of("textcraft", f"data.prompts={tmp_path}")
    assert tasks.tasks([5])[0].prompt[0].content == "Craft, please."

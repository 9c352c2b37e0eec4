"""The interactive environments: what their experts solve, what trivial players get, how fast they step.

    python benchmarks/envs.py                      # all five
    python benchmarks/envs.py --names babyai --tasks 400

Prints a table an environment. Plays are drawn by `--seed` from the evaluation split; babyai plays its 40
levels, four seeds each. Steps a second are given with everything (starting a play, choosing an action) and
for acting alone, on as many cores as the process may use; `taskset -c 0` holds it to one, simulator included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from affine_trainer.config import AgentGymConfig
from affine_trainer.envs.agents.game import Game, Games
from affine_trainer.envs.agents.spec import SPECS
from affine_trainer.envs.agents.table import AGENTS
from affine_trainer.records import seed_from, sha256_of

ROUNDS = {"babyai": 64, "sciworld": 100, "textcraft": 30, "alfworld": 30, "webshop": 30}
TASKS = {"babyai": 160, "sciworld": 46, "textcraft": 1000, "alfworld": 1000, "webshop": 1000}
NUM_OPEN = 40
TICK = 0.01  # seconds; CPU time is counted in whole ones
Chooser = Callable[[Game, str], str]


@dataclass
class Plays:
    """What one player reached: by the kind of task, how many were solved, and after how many rounds."""

    solved: dict[str, list[int | None]] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    steps: int = 0
    wall_seconds: float = 0.0
    acting_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def rate(self, within: int) -> float:
        rounds = [count for counts in self.solved.values() for count in counts]
        return sum(count is not None and count <= within for count in rounds) / len(rounds)


def cpu_seconds() -> float:
    """Of this process and its children, such as the simulator's Java."""
    process = psutil.Process()
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


def play_all(games: Games, indices: Sequence[int], chooser: Callable[[Game], Chooser], rounds: int) -> Plays:
    """One play of each task, one after another."""
    found, began, cpu = Plays(), time.perf_counter(), cpu_seconds()
    for index in indices:
        game = games.start(index)
        choose, observation, solved_in = chooser(game), game.observe(), None
        score = 0.0
        for number in range(1, rounds + 1):
            action, asked = choose(game, observation), time.perf_counter()
            outcome = game.act(action)
            found.acting_seconds += time.perf_counter() - asked
            observation, score = outcome.observation, outcome.score
            found.steps += 1
            if outcome.done:
                solved_in = number if game.success else None
                break
        game.close()
        found.solved.setdefault(games.info(index).kind, []).append(solved_in)
        found.scores.append(score)
    found.wall_seconds, found.cpu_seconds = time.perf_counter() - began, cpu_seconds() - cpu
    return found


def expert_of(games: Games) -> Callable[[Game], Chooser]:
    def begin(game: Game) -> Chooser:
        expert = games.expert(game)
        return lambda game, observation: expert.move(observation).action

    return begin


def random_player(seed: int) -> Callable[[Game], Chooser]:
    rng = random.Random(seed)
    return lambda game: lambda game, observation: rng.choice(game.actions() or [""])


def idle_player(action: str) -> Callable[[Game], Chooser]:
    return lambda game: lambda game, observation: action


def some_indices(name: str, games: Games, count: int, seed: int) -> list[int]:
    """Evaluation tasks; of babyai the levels in turn, as its server numbers them."""
    return list(range(count)) if name == "babyai" else games.indices("evaluation", count, seed)


def unique_contents(games: Games, count: int, seed: int) -> int:
    return len({sha256_of(games.info(index).content) for index in games.indices("evaluation", count, seed)})


def bytes_per_game(games: Games, indices: Sequence[int]) -> float:
    """What further open games take: Python's allocations here, and the resident memory of child processes."""

    def taken() -> int:
        children = psutil.Process().children(recursive=True)
        return tracemalloc.get_traced_memory()[0] + sum(each.memory_info().rss for each in children)

    warm = [games.start(index) for index in indices[:4]]
    [game.observe() for game in warm]
    tracemalloc.start()
    before = taken()
    games_open = [games.start(index) for index in indices]
    [game.observe() for game in games_open]
    after = taken()
    tracemalloc.stop()
    for game in (*warm, *games_open):
        game.close()
    return (after - before) / len(indices)


def snapshots_hold(games: Games, indices: Sequence[int], seed: int) -> int:
    """In how many games three random steps give the same again after a restore."""
    rng, same = random.Random(seed_from("snapshots", seed)), 0
    for index in indices:
        game = games.start(index)
        game.observe()
        state = game.snapshot()
        actions = [rng.choice(game.actions() or [""]) for _ in range(3)]
        first = [game.act(action) for action in actions]
        game.restore(state)
        same += first == [game.act(action) for action in actions]
        game.close()
    return same


def measure(name: str, count: int, seed: int) -> dict:
    """Everything about one environment."""
    games = AGENTS[name].games(AgentGymConfig(rules="full", babyai_levels=(), textcraft_depths=()))
    indices, rounds = some_indices(name, games, count, seed), ROUNDS[name]
    few = indices[: max(20, count // 5)]
    memory = bytes_per_game(games, indices[:NUM_OPEN])  # first: a used heap would hide what more games take
    expert = play_all(games, indices, expert_of(games), rounds)
    players = {"expert": expert}
    players["random"] = play_all(games, few, random_player(seed), 10)
    players["do-nothing"] = play_all(games, few, idle_player(SPECS[name].do_nothing), 10)
    return {
        "environment": name,
        "tasks": count,
        "rounds": rounds,
        "expert_by_kind": {kind: summary(counts, rounds) for kind, counts in sorted(expert.solved.items())},
        "players": {player: line(plays, rounds) for player, plays in players.items()},
        "unique_per_1000": unique_contents(games, 1000, seed),
        "snapshots_exact": f"{snapshots_hold(games, few[:20], seed)} of {len(few[:20])}",
        "bytes_per_game": memory,
    }


def summary(counts: Sequence[int | None], rounds: int) -> str:
    solved = [count for count in counts if count is not None]
    return f"{sum(count <= rounds for count in solved)} of {len(counts)}"


def line(plays: Plays, rounds: int) -> dict:
    return {
        "plays": len(plays.scores),
        "solved": plays.rate(rounds),
        "solved_within_10": plays.rate(10),
        "mean_score": sum(plays.scores) / len(plays.scores),
        "steps_per_second": plays.steps / plays.wall_seconds,
        "steps_per_cpu_second": plays.steps / max(plays.cpu_seconds, TICK),
        "steps_per_second_acting": plays.steps / plays.acting_seconds,
    }


def shown(result: dict) -> Iterator[str]:
    yield f"\n{result['environment']}: {result['tasks']} tasks, {result['rounds']} rounds"
    yield "player        plays  solved   in 10    score   steps/s    /CPU s    acting"
    for player, row in result["players"].items():
        yield (
            f"{player:12s} {row['plays']:6d} {row['solved']:7.1%} {row['solved_within_10']:7.1%} "
            f"{row['mean_score']:8.3f} {row['steps_per_second']:9,.0f} {row['steps_per_cpu_second']:9,.0f} "
            f"{row['steps_per_second_acting']:9,.0f}"
        )
    yield "by kind: " + ", ".join(f"{kind} {text}" for kind, text in result["expert_by_kind"].items())
    yield (
        f"unique of 1,000: {result['unique_per_1000']}; snapshots exact: {result['snapshots_exact']}; "
        f"memory an open game: {result['bytes_per_game'] / 1024:,.1f} KiB"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", nargs="+", default=list(SPECS), choices=list(SPECS))
    parser.add_argument("--tasks", type=int, help="plays of the expert; by default as many as the name says")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results = []
    for name in args.names:
        results.append(measure(name, args.tasks or TASKS[name], args.seed))
        print("\n".join(shown(results[-1])), flush=True)
    if args.out:
        args.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""The episodes of PPO: on-policy rollouts and validations over a mix of environments, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from statistics import fmean, pstdev

from affine_trainer.config import Config
from affine_trainer.learning.curriculum import Curriculum
from affine_trainer.learning.diagnostics import PhaseClock
from affine_trainer.learning.reward_function import RewardFunction
from affine_trainer.learning.rollout_plan import plan_of
from affine_trainer.learning.task_mix import TaskMix
from affine_trainer.learning.vine import Values, monte_carlo_values, value_episodes
from affine_trainer.records import (
    Completion,
    Conversation,
    Episode,
    Policy,
    Sampling,
    State,
    Task,
    TaskGroup,
    TaskSet,
    seed_from,
)
from affine_trainer.rollout import StateGroup, continue_from, play
from affine_trainer.tracking import progress


class TimedPolicy:
    """A policy whose replies are timed as the phase "generate"."""

    def __init__(self, policy: Policy, clock: PhaseClock) -> None:
        self.name = policy.name
        self._policy = policy
        self._clock = clock

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        with self._clock.phase("generate"):
            return self._policy.reply(conversations, sampling)


class Rollouts:
    """Plays with one policy: batches of the mix to learn from, and the fixed tasks of validations.

    `task_sets` and `validation` have the same names as the mix. Batches are sampled as `rl_training` says and
    seeded by the run's seed and the iteration; validations play the same tasks with the same draws. A
    `curriculum` shortens the episodes of batches and learns how they went, a `reward` pays them; validations
    know of neither.
    """

    def __init__(
        self,
        policy: Policy,
        task_sets: Mapping[str, TaskSet],
        mix: TaskMix,
        validation: Mapping[str, Sequence[int]],
        config: Config,
        clock: PhaseClock,
        *,
        curriculum: Curriculum | None = None,
        reward: RewardFunction | None = None,
    ) -> None:
        self._policy = TimedPolicy(policy, clock)
        self._untimed = policy
        self._task_sets = task_sets
        self._mix = mix
        self._validation = {name: task_sets[name].tasks(indices) for name, indices in validation.items()}
        self._config = config
        self._clock = clock
        self._curriculum = curriculum
        self._reward = reward
        self._practised: dict[str, TaskSet] = {}

    def collect(self, iteration: int, *, keep_states: bool = False) -> dict[str, list[Episode]]:
        """The episodes of one iteration by environment, with their token ids and log-probabilities."""
        episodes = self.practise(self._mix.draw(iteration), iteration, keep_states=keep_states)
        if self._curriculum:
            size = self._config.rl_training.samples_per_task
            self._curriculum.take_in({name: task_successes(group, size) for name, group in episodes.items()})
        return episodes

    def practise(
        self, drawn: Mapping[str, Sequence[int]], iteration: int, *, keep_states: bool = False
    ) -> dict[str, list[Episode]]:
        """`samples_per_task` episodes of each drawn task, as they are played and paid in `iteration`.

        The states at which their turns began stay on them for `advantage: vine`, or where they are wanted.
        """
        rl = self._config.rl_training
        tasks = {
            name: [t for t in self._task_sets[name].tasks(indices) for _ in range(rl.samples_per_task)]
            for name, indices in drawn.items()
        }
        task_sets = {name: self._task_sets[name] for name in tasks}
        if self._curriculum:
            task_sets = {
                name: self._curriculum.shortened(found, name, iteration) for name, found in task_sets.items()
            }
        self._practised = {f"{found.env}@{found.family}": found for found in task_sets.values()}
        seed = seed_from(self._config.seed, "rollouts", iteration)
        keep = keep_states or rl.advantage == "vine"
        episodes = self._play(tasks, task_sets, self._sampling, seed, "play", keep_states=keep)
        if not self._reward:
            return episodes
        return {
            name: [self._reward.pay(*pair) for pair in zip(tasks[name], group, strict=True)]
            for name, group in episodes.items()
        }

    def value(
        self, episodes: Sequence[Episode], iteration: int, text_of: Callable[[Sequence[int]], str]
    ) -> tuple[list[Episode], dict[str, float]]:
        """Episodes of the last `practise` with the Monte-Carlo values of their states, and what that took.

        Continuations are sampled, limited and paid as the episodes were. `text_of` decodes token ids.
        """
        names = [_name_of(e.task_key) for e in episodes]
        groups = {name: [e for e, of in zip(episodes, names, strict=True) if of == name] for name in names}
        seed = seed_from(self._config.seed, "rollouts", iteration)
        with self._clock.phase("values"):
            valued, metrics = value_episodes(
                [(self._practised[name], found) for name, found in groups.items()],
                text_of,
                lambda states: self.state_values(states, seed),
                most=self._config.rl_training.vine_max_states,
            )
        remaining = {name: iter(found) for name, found in zip(groups, valued, strict=True)}
        return [next(remaining[name]) for name in names], metrics

    def task_set(self, task_key: str) -> TaskSet:
        """That of a task of the last `practise`, with the limits it was played under."""
        return self._practised[_name_of(task_key)]

    def state_values(self, groups: Sequence[StateGroup], seed: int) -> Values:
        """Monte-Carlo values of states of the last `practise`, of as many continuations as the run takes."""
        rl = self._config.rl_training
        unbiased = rl.adaptive_rollouts != "adaptive_mle"
        plan = plan_of(rl)
        return monte_carlo_values(groups, self.play_on, plan, unbiased=unbiased, gamma=rl.gamma, seed=seed)

    def play_on(self, groups: Sequence[StateGroup], n: int, seed: int) -> list[list[list[Episode]]]:
        """`n` continuations of states of the last `practise`, sampled, limited and paid as its episodes."""
        size, total = self._config.rl_training.vine_batch_size, n * sum(len(group.states) for group in groups)
        with progress("rl continuations", total, unit="episodes") as bar:
            played = continue_from(
                groups,
                self._untimed,
                self._sampling,
                n=n,
                seed=seed,
                chunk_size=size,
                on_chunk=lambda chunk: bar.advance(len(chunk)),
            )
        return [
            [[self._paid(at, e) for e in found] for at, found in zip(group.states, of_states, strict=True)]
            for group, of_states in zip(groups, played, strict=True)
        ]

    def _paid(self, state: State, episode: Episode) -> Episode:
        """A continuation with what the user's reward function, if there is one, pays it in the whole play."""
        if not self._reward:
            return episode
        paid = self._reward.pay(state.task, replace(episode, turns=[*state.before, *episode.turns]))
        return replace(paid, turns=paid.turns[len(state.before) :])

    @property
    def _sampling(self) -> Sampling:
        rl = self._config.rl_training
        return Sampling(rl.temperature, rl.top_p, self._config.model.max_new_tokens, seed=0)

    def validate(self) -> dict[str, list[Episode]]:
        """Episodes of the fixed validation tasks by environment, with the same draws every time.

        Sampled as episodes are practised, since that is what learning improves, unless
        `validation_temperature` says otherwise.
        """
        rl = self._config.rl_training
        wanted = rl.temperature if rl.validation_temperature is None else rl.validation_temperature
        sampling = Sampling(wanted, rl.top_p, self._config.model.max_new_tokens, seed=0)
        return self._play(self._validation, self._task_sets, sampling, 0, "validation")

    def _play(
        self,
        tasks: Mapping[str, Sequence[Task]],
        task_sets: Mapping[str, TaskSet],
        sampling: Sampling,
        seed: int,
        kind: str,
        *,
        keep_states: bool = False,
    ) -> dict[str, list[Episode]]:
        what, total = f"rl {kind}", sum(map(len, tasks.values()))
        with self._clock.phase("grade", without="generate"), progress(what, total, unit="episodes") as bar:
            episodes = play(
                [TaskGroup(task_sets[name], chosen) for name, chosen in tasks.items()],
                self._policy,
                sampling,
                seed=seed,
                chunk_size=self._config.rl_training.rollout_batch_size,
                on_chunk=lambda chunk: bar.advance(len(chunk)),
                keep_conversation=True,
                keep_states=keep_states,
            )
        return dict(zip(tasks, episodes, strict=True))


def _name_of(task_key: str) -> str:
    return task_key.rpartition("/")[0]


def by_task(groups: Mapping[str, Sequence[Episode]], size: int) -> list[list[Sequence[Episode]]]:
    """Each environment's tasks, of `size` episodes each."""
    return [[group[at : at + size] for at in range(0, len(group), size)] for group in groups.values()]


def zero_variance_tasks(groups: Mapping[str, Sequence[Episode]], size: int) -> tuple[int, int]:
    """How many tasks' episodes all earned the same, so that they say nothing about what is better; of all."""
    tasks = [task for group in by_task(groups, size) for task in group]
    return sum(not _returns_differ(task) for task in tasks), len(tasks)


def instructive(groups: Mapping[str, Sequence[Episode]], count: int, size: int) -> list[Episode]:
    """`count` episodes to learn from, whole tasks of `size` episodes each, in the order of play.

    Tasks whose episodes earned different returns come first: the others say nothing about what is better (the
    "dynamic sampling" of Yu et al. 2025, DAPO). Of both kinds each environment gives in turn.
    """
    in_turn = [task for row in zip_longest(*by_task(groups, size)) for task in row if task is not None]
    best = sorted(range(len(in_turn)), key=lambda place: not _returns_differ(in_turn[place]))
    return [episode for place in sorted(best[: count // size]) for episode in in_turn[place]]


def task_successes(episodes: Sequence[Episode], size: int) -> list[float]:
    """The mean success of each task, `size` episodes in a row; ungraded ones count for nothing."""
    tasks = [episodes[start : start + size] for start in range(0, len(episodes), size)]
    graded = [[episode.grade.success for episode in task if episode.grade] for task in tasks]
    return [fmean(successes) for successes in graded if successes]


def _returns_differ(episodes: Sequence[Episode]) -> bool:
    returns = [sum(turn.reward for turn in episode.turns) for episode in episodes if episode.grade]
    return bool(returns) and max(returns) - min(returns) > 1e-9


def summarise(episodes: Mapping[str, Sequence[Episode]], prefix: str) -> dict[str, float]:
    """Reward and success over all graded episodes and by environment, lengths, and what could not be graded.

    `reward` and `success` are means over episodes, `macro_reward` and `macro_success` over environments;
    `return` is what training is paid, by the environment and its shaping or by a function of the user's.
    """
    graded = {name: [e for e in group if e.grade is not None] for name, group in episodes.items()}
    rewards = {name: [e.grade.reward for e in group if e.grade] for name, group in graded.items() if group}
    successes = {name: [e.grade.success for e in group if e.grade] for name, group in graded.items() if group}
    everything = [episode for group in episodes.values() for episode in group]
    if not rewards:
        return {f"{prefix}/ungraded": float(len(everything))}
    all_rewards = [reward for group in rewards.values() for reward in group]
    returns = [sum(turn.reward for turn in e.turns) for group in graded.values() for e in group]
    metrics = {
        "reward": fmean(all_rewards),
        "success": fmean(hit for group in successes.values() for hit in group),
        "macro_reward": fmean(map(fmean, rewards.values())),
        "macro_success": fmean(map(fmean, successes.values())),
        "reward_std": pstdev(all_rewards),
        "return": fmean(returns),
        "return_std": pstdev(returns),
        "turns": fmean(len(e.turns) for e in everything),
        "completion_length": fmean(e.num_completion_tokens for e in everything),
        "cut_off": sum(bool(e.turns) and e.turns[-1].info.get("stop") == "length" for e in everything)
        / len(everything),
        "ungraded": float(len(everything) - len(all_rewards)),
    }
    metrics |= {f"reward/{name}": fmean(group) for name, group in rewards.items()}
    metrics |= {f"success/{name}": fmean(group) for name, group in successes.items()}
    return {f"{prefix}/{name}": value for name, value in metrics.items()}

"""What a run practises: tasks and their sets, the mix, the curriculum and the reward, checked at start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from affine_trainer.config import Config
from affine_trainer.envs import task_set
from affine_trainer.envs.stage_tasks import practice_weights
from affine_trainer.errors import AffineError, ConfigError
from affine_trainer.learning.curriculum import Curriculum
from affine_trainer.learning.diagnostics import PhaseClock
from affine_trainer.learning.reward_function import RewardFunction
from affine_trainer.learning.rollouts import Rollouts
from affine_trainer.learning.task_mix import LEAST_TASKS, TaskMix
from affine_trainer.policies.scripted import SAYS_NOTHING
from affine_trainer.records import Episode, Policy, Sampling, Task, TaskGroup, TaskSet
from affine_trainer.rollout import play
from affine_trainer.sandbox import Sandbox
from affine_trainer.tracking import progress

TaskLists = Mapping[str, Sequence[int]]
MOST_LOOKED_AT = 200  # iterations, for how many tasks one plays of each environment
RATED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Practice:
    """Task indices to learn from and to validate on by environment and family, and how they are played.

    `notes` are sentences on what is not practised and on what the curriculum cannot do.
    """

    tasks: TaskLists
    validation: TaskLists
    task_sets: Mapping[str, TaskSet]
    mix: TaskMix
    curriculum: Curriculum | None
    reward: RewardFunction | None
    notes: tuple[str, ...] = ()

    def rollouts(self, policy: Policy, config: Config, clock: PhaseClock) -> Rollouts:
        """Plays of all of it with one policy."""
        return Rollouts(
            policy,
            self.task_sets,
            self.mix,
            self.validation,
            config,
            clock,
            curriculum=self.curriculum,
            reward=self.reward,
        )

    def why_not_continued(self) -> str | None:
        """Why plays cannot go on from earlier states, by trying each environment; None where they can."""
        for name, indices in self.tasks.items():
            try:
                _say_nothing(self.task_sets[name], indices, keep_states=True)
            except AffineError as error:
                return str(error)
        return None


def open_practice(tasks: TaskLists, validation: TaskLists, config: Config, sandbox: Sandbox) -> Practice:
    """Everything made and checked; ConfigError for a curriculum or a reward function that cannot work."""
    rl, left_out = config.rl_training, [env for env in config.data.environments if not _share(env, config)]
    tasks, validation = (
        {name: indices for name, indices in lists.items() if _share(name, config)}
        for lists in (tasks, validation)
    )
    reward = RewardFunction.load(rl.reward_function) if rl.reward_function else None
    task_sets = {name: _task_set(name, config, sandbox) for name in {**tasks, **validation}}
    curriculum, notes = None, list[str]()
    if rl.enable_curriculum:
        curriculum = Curriculum(rl, _difficulties(tasks, task_sets), seed=config.seed)
    mix = _mix(tasks, config, curriculum)
    if curriculum is not None:
        draws = [mix.positions(n) for n in range(min(rl.num_rollouts, MOST_LOOKED_AT))]
        most = {name: max(len(drawn.get(name, ())) for drawn in draws) for name in tasks}
        notes = curriculum.check(most, {name: task_sets[name].max_turns for name in tasks})
    if reward is not None:
        for name, indices in tasks.items():
            _check_reward(reward, task_sets[name], indices)
    if left_out:
        why = "no share in rl_training.weights: evaluated, but not practised"
        notes = [*notes, f"{', '.join(left_out)}: {why}"]
    return Practice(tasks, validation, task_sets, mix, curriculum, reward, tuple(notes))


def _share(name: str, config: Config) -> float:
    """Of practice, of `env@family` or `env`."""
    return practice_weights([name.partition("@")[0]], config)[0]


def _task_set(name: str, config: Config, sandbox: Sandbox) -> TaskSet:
    env, _, family = name.partition("@")
    return task_set(env, family, config=config, sandbox=sandbox, purpose="training")


def _mix(tasks: TaskLists, config: Config, curriculum: Curriculum | None) -> TaskMix:
    rl = config.rl_training
    return TaskMix(
        tasks,
        {name: _share(name, config) for name in tasks},
        batch_size=round(rl.oversampling * rl.rollout_batch_size / rl.samples_per_task),
        seed=config.seed,
        least=LEAST_TASKS,
        curriculum=curriculum,
    )


def _difficulties(tasks: TaskLists, task_sets: Mapping[str, TaskSet]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {name: {} for name in tasks}
    with progress("curriculum: difficulties", sum(map(len, tasks.values())), unit="tasks") as bar:
        for name, indices in tasks.items():
            for some in _batches(indices):
                found[name].update((task.index, task.difficulty) for task in task_sets[name].tasks(some))
                bar.advance(len(some))
    return found


def _batches(indices: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(indices)
    while some := list(islice(rest, RATED_AT_ONCE)):
        yield some


def _check_reward(reward: RewardFunction, task_set: TaskSet, indices: Sequence[int]) -> None:
    """Try the function on an episode of someone who has nothing to say."""
    task, episode = _say_nothing(task_set, indices)
    if episode.grade is None:
        raise ConfigError(
            f"rl_training.reward_function cannot be tried, since an episode of {task.key} could not be "
            f"graded: {episode.error}"
        )
    reward.check(task, episode)


def _say_nothing(
    task_set: TaskSet, indices: Sequence[int], *, keep_states: bool = False
) -> tuple[Task, Episode]:
    """The first task, and an episode of it by someone who has nothing to say."""
    task, sampling = task_set.tasks(indices[:1])[0], Sampling(0.0, 1.0, 1, seed=0)
    group = TaskGroup(task_set, [task])
    [[episode]] = play([group], SAYS_NOTHING, sampling, seed=0, chunk_size=1, keep_states=keep_states)
    return task, episode

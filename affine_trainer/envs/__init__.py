"""The environments: tasks posed as text and graded by a program, and the table that names them all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from affine_trainer.config import Config
from affine_trainer.envs import sat
from affine_trainer.envs.abd import ABD
from affine_trainer.envs.agents.spec import SPECS, AgentSpec
from affine_trainer.envs.agents.table import AGENTS, served_games
from affine_trainer.envs.agents.tasks import AgentTasks, Play
from affine_trainer.envs.custom import PREFIX, custom_tasks
from affine_trainer.envs.ded import DED
from affine_trainer.envs.program_rows import GENERATED_FAMILIES, DataSetRows, GeneratedRows, Rows
from affine_trainer.envs.program_tasks import ProgramProblem, ProgramTasks
from affine_trainer.envs.prompts import Template, agent_rules, load_templates, template_hashes
from affine_trainer.envs.row_sources import short_name
from affine_trainer.envs.single_turn import SingleTurn, Ungraded, grade_reply
from affine_trainer.errors import AffineError
from affine_trainer.records import Task, TaskSet
from affine_trainer.rules import Rules, rules_named
from affine_trainer.sandbox import Sandbox

__all__ = [
    "ENVIRONMENTS",
    "SingleTurn",
    "Ungraded",
    "grade_reply",
    "resolve_task",
    "task_set",
    "task_sets",
    "template_hashes",
]

Purpose = Literal["training", "evaluation"]
KEY = re.compile(r"(?P<env>[^@/]+)(@(?P<family>[^@/]+))?/(?P<index>\d{1,18})")


@dataclass(frozen=True)
class EnvironmentEntry:
    """How the table knows an environment: its families under a config, the first being the configured one."""

    families: Callable[[Config], tuple[str, ...]]
    make: Callable[[str, Config, Sandbox | None, Purpose], TaskSet]


def _sat_families(config: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys((config.data.affine.sat_family, *sat.FAMILIES)))


def _program_families(config: Config) -> tuple[str, ...]:
    programs = config.data.affine.programs
    return GENERATED_FAMILIES if programs == "generated" else (short_name(programs), *GENERATED_FAMILIES)


def _program_tasks(problem: ProgramProblem) -> EnvironmentEntry:
    def make(family: str, config: Config, sandbox: Sandbox | None, purpose: Purpose) -> TaskSet:
        rows: Rows
        if family in GENERATED_FAMILIES:
            rows = GeneratedRows(held_out=family == GENERATED_FAMILIES[1])
        else:
            rows = DataSetRows(config.data.affine, problem.required)
        return ProgramTasks(problem, rows, _template(problem.env, config), _rules(config), sandbox)

    return EnvironmentEntry(_program_families, make)


def _sat_tasks(family: str, config: Config, sandbox: Sandbox | None, purpose: Purpose) -> TaskSet:
    return sat.SatTasks(family, _template(sat.ENV, config), _rules(config))


def _agent_tasks(spec: AgentSpec) -> EnvironmentEntry:
    def families(config: Config) -> tuple[str, ...]:
        return ("server", "embedded") if spec.name in config.data.agentgym.base_urls else ("embedded",)

    def make(family: str, config: Config, sandbox: Sandbox | None, purpose: Purpose) -> TaskSet:
        agents, training = config.data.agentgym, purpose == "training"
        if family == "server":
            urls: dict[Any, str] = dict(agents.base_urls)
            games = served_games(spec.name, urls[spec.name])
        else:
            games = AGENTS[spec.name].games(agents)
        play = Play(
            max_rounds=agents.max_rounds if training else _evaluation_rounds(config, spec),
            max_reply_tokens=agents.max_reply_tokens,
            shaping=config.rl_training.reward_shaping if training else "none",
            gamma=config.rl_training.gamma,
        )
        return AgentTasks(games, spec, agent_rules(spec.name, config).text, play)

    return EnvironmentEntry(families, make)


def _own_tasks(env: str) -> EnvironmentEntry:
    def make(family: str, config: Config, sandbox: Sandbox | None, purpose: Purpose) -> TaskSet:
        return custom_tasks(env, config)

    return EnvironmentEntry(lambda config: (custom_tasks(env, config).family,), make)


def _evaluation_rounds(config: Config, spec: AgentSpec) -> int:
    wanted = config.evaluation.max_rounds
    return spec.agentgym_rounds if isinstance(wanted, str) else wanted


def _template(env: str, config: Config) -> Template:
    return load_templates(config.data.prompts)[env.removeprefix("affine:")]


def _rules(config: Config) -> Rules:
    return rules_named(config.evaluation.rules)


ENVIRONMENTS: Mapping[str, EnvironmentEntry] = {
    sat.ENV: EnvironmentEntry(_sat_families, _sat_tasks),
    ABD.env: _program_tasks(ABD),
    DED.env: _program_tasks(DED),
    **{spec.env: _agent_tasks(spec) for spec in SPECS.values()},
}


def task_set(
    env: str,
    family: str,
    *,
    config: Config,
    sandbox: Sandbox | None,
    purpose: Purpose = "evaluation",
) -> TaskSet:
    """The tasks of one environment and family, under the config's rules and wording.

    `purpose` matters to interactive environments: to train on, rewards are shaped and rounds limited as the
    config says for training. Without a sandbox the tasks of `affine:abd` and `affine:ded` can be read but not
    played. AffineError names the environments or families there are when this one is not among them.
    """
    entry = _entry(env, config)
    families = entry.families(config)
    if family not in families:
        raise AffineError(f"{env} has no family {family!r}; there are {', '.join(families)}")
    return entry.make(family, config, sandbox, purpose)


def task_sets(config: Config, sandbox: Sandbox | None, purpose: Purpose = "evaluation") -> dict[str, TaskSet]:
    """The configured environments, each with its configured family."""
    families = {env: _entry(env, config).families(config)[0] for env in config.data.environments}
    return {
        env: task_set(env, family, config=config, sandbox=sandbox, purpose=purpose)
        for env, family in families.items()
    }


def resolve_task(key: str, config: Config, sandbox: Sandbox | None) -> tuple[TaskSet, Task]:
    """The task of a key such as `affine:sat@small/17`; without `@family` the configured family is meant."""
    parts = KEY.fullmatch(key)
    if parts is None:
        raise AffineError(
            f"{key!r} is not a task key; write environment@family/index, as in affine:sat@small/17"
        )
    env = parts["env"]
    family = parts["family"] or _entry(env, config).families(config)[0]
    tasks = task_set(env, family, config=config, sandbox=sandbox)
    return tasks, tasks.tasks([int(parts["index"])])[0]


def _entry(env: str, config: Config) -> EnvironmentEntry:
    own = [f"{PREFIX}{name}" for name in config.data.custom.environments]
    if env in own:
        return _own_tasks(env)
    if env not in ENVIRONMENTS:
        raise AffineError(f"there is no environment {env!r}; there are {', '.join((*ENVIRONMENTS, *own))}")
    return ENVIRONMENTS[env]

"""The leak report: what training, validation and evaluation share, and what validators published."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rich

from affine_trainer.artifacts import log_dir, read_manifest, stage_folder, write_atomic, write_json
from affine_trainer.artifacts.manifest import START_FILE
from affine_trainer.config import Config
from affine_trainer.envs import task_set
from affine_trainer.envs.stage_tasks import evaluation_tasks
from affine_trainer.errors import AffineError, DataError
from affine_trainer.leaks.overlaps import find_matches
from affine_trainer.leaks.problem import Origin, Problem, Role, read_problem
from affine_trainer.leaks.reading import problems_of_rows, problems_of_tasks, wording
from affine_trainer.leaks.summary import audit_markdown, audit_tables, summarise_audit
from affine_trainer.records import Episode
from affine_trainer.report.episodes import environment_of, family_of, read_episodes
from affine_trainer.tracking import progress

READS = (
    "data.prompts",
    "data.affine.environments",
    "data.affine.sat_family",
    "data.affine.programs",
    "data.affine.programs_split",
    "data.agentgym",
    "data.custom.environments",
    "evaluation",
)
ROWS: Mapping[str, Role] = {"train.jsonl": "training", "validation.jsonl": "validation"}
LISTS: Mapping[str, Role] = {"rl": "training", "validation": "validation"}
CONFIGURED = "evaluation tasks"


@dataclass(slots=True)
class Sources:
    """What is looked at: files by role, task lists of data folders, folders of evaluations."""

    files: dict[Path, Role] = field(default_factory=dict)
    lists: list[Path] = field(default_factory=list)
    evaluations: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def num_places(self) -> int:
        """Files, lists, evaluations, and the evaluation tasks."""
        return len(self.files) + len(LISTS) * len(self.lists) + len(self.evaluations) + 1

    @property
    def inputs(self) -> dict[str, Path]:
        paths = [*self.files, *self.lists, *(folder / "episodes.jsonl" for folder in self.evaluations)]
        return {str(path): path for path in paths}


def audit(config: Config, what: Sequence[str] = ()) -> tuple[Path, int]:
    """Write logs/{run}/audit and return that folder and the number of leaks.

    `what` are runs, data folders, evaluation folders, or training files (JSON lines, AgentTraj); by default
    the config's run. Everything is compared with the evaluation tasks. DataError where one of
    them cannot be read.
    """
    sources = find_sources(what or (config.run,))
    path = log_dir(config, "audit")
    # A report is read again in seconds, so that it is always made anew: an old one is never in the way.
    with stage_folder("audit", path, config, reads=READS, inputs=sources.inputs, force=True) as folder:
        report = {"run": config.run, "looked_at": list(what) or [config.run], **_report(config, sources)}
        write_json(path / "audit.json", report)
        write_atomic(path / "audit.md", audit_markdown(report))
        folder.finish({"leaks": report["leaks"], "near_duplicates": report["near_duplicates"]})
    _print(report, path)
    return path, report["leaks"]


def is_collected(run: str) -> bool:
    """Whether a run of this name has finished data here."""
    manifest = read_manifest(Path("data", run))
    return manifest is not None and manifest.config.get("run") == run


def find_sources(what: Sequence[str]) -> Sources:
    """The files behind what was named; DataError where there is nothing."""
    sources = Sources()
    for name in what:
        path = Path(name).expanduser()
        if path.is_file():
            sources.files[path] = "training"
        elif (path / "episodes.jsonl").is_file():
            sources.evaluations.append(path)
        elif any((path / file).is_file() for file in ROWS):
            _add_data(sources, path)
        else:
            _add_run(sources, name)
    return sources


def _add_data(sources: Sources, folder: Path) -> None:
    if (folder / START_FILE).exists():
        sources.notes.append(f"{folder} is unfinished: what is written so far was looked at")
    sources.files |= {folder / file: role for file, role in ROWS.items() if (folder / file).is_file()}
    if (folder / "tasks.json").is_file():
        sources.lists.append(folder / "tasks.json")


def _add_run(sources: Sources, run: str) -> None:
    data, evaluations = Path("data", run), sorted(Path("logs", run, "eval").glob("*/episodes.jsonl"))
    has_data = any((data / file).is_file() for file in ROWS)
    if not (has_data or evaluations):
        if Path(run).expanduser().is_dir():
            raise DataError(f"the folder {run} holds neither {', '.join(ROWS)} nor episodes.jsonl")
        if len(Path(run).parts) > 1:
            raise DataError(f"there is no file or folder {run}, and no run of that name")
        raise DataError(
            f"there is neither data/{run}, nor an evaluation in logs/{run}/eval, nor a file or folder {run}: "
            "run `affine collect`, or name a data folder, an evaluation folder or a JSON-lines file"
        )
    if has_data:
        _add_data(sources, data)
    sources.evaluations += [episodes.parent for episodes in evaluations]


def _report(config: Config, sources: Sources) -> dict[str, Any]:
    problems, notes = [], list(sources.notes)
    total, places = sources.num_places, set[str]()
    with progress("audit", total, unit="places") as bar:
        for problem in _problems(config, sources, notes):
            if places and problem.place not in places:
                bar.advance()
            places.add(problem.place)
            problems.append(problem)
            bar.note(f"{len(problems):,} problems read")
        bar.advance(total - max(0, len(places) - 1))  # the last one, and places that had nothing new
    return summarise_audit(problems, find_matches(problems), notes)


def _problems(config: Config, sources: Sources, notes: list[str]) -> Iterator[Problem]:
    """Every problem of the sources and of the config's evaluation; `notes` says what could not be posed."""
    around = wording(config)
    plays = {folder: read_episodes(folder / "episodes.jsonl") for folder in sources.evaluations}
    seen = {
        episode.task_key: episode.turns[0].observation
        for episodes in plays.values()
        for episode in episodes
        if episode.turns and episode.turns[0].observation
    }
    for path, role in sources.files.items():
        yield from problems_of_rows(path, Origin(str(path), role, around))
    for path in sources.lists:
        for name, role in LISTS.items():
            lists = _task_list(path, name)
            yield from _listed(config, lists, Origin(f"{path} ({name})", role, around), seen, notes)
    asked = set()
    for group in evaluation_tasks(config, None):
        asked |= {(task.key, task.content_sha256) for task in group.tasks}
        origin = Origin(CONFIGURED, "evaluation", around)
        yield from problems_of_tasks(group.tasks, group.task_set, origin, seen)
    for folder, episodes in plays.items():
        other = [play for play in episodes if (play.task_key, play.content_sha256) not in asked]
        known = f"{len(episodes) - len(other):,} of {len(episodes):,}"
        notes.append(f"{folder}: {known} plays are of the config's evaluation tasks")
        yield from _played(
            config, other, Origin(str(folder / "episodes.jsonl"), "evaluation", around), seen, notes
        )


def _task_list(path: Path, name: str) -> dict[str, list[int]]:
    """The indices of one list of tasks.json by `env@family`."""
    try:
        lists = json.loads(path.read_bytes())[name]
        return {group: [int(index) for index in indices] for group, indices in lists.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no task list {name!r}: run `affine collect --force`") from error


def _listed(
    config: Config,
    lists: Mapping[str, Sequence[int]],
    origin: Origin,
    seen: Mapping[str, str],
    notes: list[str],
) -> Iterator[Problem]:
    """The tasks of `env@family` with these indices, posed anew; by key alone where that cannot be done."""
    for name, indices in lists.items():
        env, _, family = name.partition("@")
        try:
            tasks = task_set(env, family, config=config, sandbox=None)
            posed = tasks.tasks(indices)
        except AffineError as error:
            notes.append(f"{origin.place}: {name} was compared by task key alone ({error})")
            yield from (_by_key(origin, f"{name}/{index}") for index in indices)
        else:
            yield from problems_of_tasks(posed, tasks, origin, seen)


def _played(
    config: Config, episodes: Sequence[Episode], origin: Origin, seen: Mapping[str, str], notes: list[str]
) -> Iterator[Problem]:
    """The tasks of an evaluation. What counts is the hash of a play, not the text of another task."""
    lists: defaultdict[str, list[int]] = defaultdict(list)
    contents = {episode.task_key: episode.content_sha256 for episode in episodes}
    for key in contents:
        lists[f"{environment_of(key)}@{family_of(key)}"].append(int(key.rpartition("/")[2]))
    others = 0
    for problem in _listed(config, lists, origin, seen, notes):
        content = contents[str(problem.key)]
        same = problem.content in (None, content)
        others += not same
        yield problem if same and problem.content else _by_key(origin, str(problem.key), content)
    if others:
        notes.append(
            f"{origin.place}: {others:,} tasks differ under this config: compared by key and hash alone"
        )


def _by_key(origin: Origin, key: str, content: str | None = None) -> Problem:
    return read_problem(origin, "", environment_of(key), "", "", key=key, content=content)


def _print(report: Mapping[str, Any], path: Path) -> None:
    console = rich.get_console()
    for table in audit_tables(report):
        console.print(table)
        console.print()
    for note in report["notes"]:
        console.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"audit: {report['verdict']}", soft_wrap=True, highlight=False, markup=False)
    console.print(
        f"audit: wrote {path / 'audit.json'} and {path / 'audit.md'}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )

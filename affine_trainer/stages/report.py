"""One page of a run for a person to read, and the same as figures, tables, text and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from affine_trainer.artifacts import read_manifest, write_atomic
from affine_trainer.config import Config, config_from_record
from affine_trainer.envs import task_set
from affine_trainer.envs.program_rows import GENERATED_FAMILIES
from affine_trainer.errors import StageError
from affine_trainer.report.episodes import EpisodeFile, environment_of, family_of, read_episode_file
from affine_trainer.report.run_files import RunFiles, read_experiments, read_run
from affine_trainer.tracking import progress, say

PAGE_FILE = "report.html"
TEXT_FILE = "summary_report.txt"


def report(
    config: Config,
    runs: Sequence[str] = (),
    *,
    output: Path | None = None,
    figures: Path | None = None,
    tables: Path | None = None,
) -> Path:
    """Write the page of `runs` (by default the config's) and return its path.

    By default that is logs/{run}/report/report.html of the first run; beside it lie summary_report.txt and,
    where diagnostics were made, CSV files of advantages and values. A report is a view: it is made anew each
    time, holds no result of its own, and names the file and place of every number in it.
    StageError where a run does not exist, DataError where one of its files is broken.
    """
    from affine_trainer.report.csv_files import write_csv_files
    from affine_trainer.report.figures import write_figures
    from affine_trainer.report.page import render_page
    from affine_trainer.report.table_files import write_tables
    from affine_trainer.report.text import summary_text

    names = list(dict.fromkeys(runs or (config.run,)))
    found = [read_run(name) for name in names]
    path = output or Path("logs", names[0], "report", PAGE_FILE)
    if path.is_dir():
        raise StageError(f"{path} is a folder: name the file to write, e.g. --output {path / PAGE_FILE}.")
    experiments = read_experiments()
    episodes = read_all_episodes(found)
    prompts = task_prompts(config, found, episodes)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, render_page(found, experiments, episodes, prompts))
    written = [path, path.parent / TEXT_FILE]
    write_atomic(written[1], summary_text(found))
    written += write_csv_files(found, path.parent)
    if figures is not None:
        written += write_figures(found, figures)
    if tables is not None:
        written += write_tables(found, experiments, tables)
    for item in written:
        say(f"report: wrote {item}")
    return path


def read_all_episodes(runs: Sequence[RunFiles]) -> dict[str, EpisodeFile]:
    """The episodes of every model by its label, which starts with the run's name where there are several."""
    files = [
        (f"{run.name}/{label}" if len(runs) > 1 else label, path)
        for run in runs
        for label, path in run.episodes.items()
    ]
    found = {}
    with progress("report: episodes", len(files), unit="files") as bar:
        for label, path in files:
            found[label] = read_episode_file(path)
            bar.advance()
    return found


def task_prompts(
    config: Config, runs: Sequence[RunFiles], episodes: Mapping[str, EpisodeFile]
) -> dict[str, list[tuple[str, str]]]:
    """What was asked in each task: posed again from its key, and kept only where the content hash is equal.

    Left out are tasks of a server and of data sets of a hub, which only their owners can pose.
    """
    hashes = {key: play.content_sha256 for file in episodes.values() for key, play in file.episodes.items()}
    groups: dict[tuple[str, str], list[str]] = {}
    for key in hashes:
        groups.setdefault((environment_of(key), family_of(key)), []).append(key)
    asked_with = evaluated_config(config, runs)
    found = {}
    with progress("report: prompts", len(hashes), unit="tasks") as bar:
        for (env, family), keys in groups.items():
            if can_pose(asked_with, env, family):
                found.update(posed(asked_with, env, family, keys, hashes))
            bar.advance(len(keys))
    return found


def evaluated_config(config: Config, runs: Iterable[RunFiles]) -> Config:
    """The config that the first evaluation was made with, as its wording is what the model read.

    The one of this call where there is none, or none that this version understands.
    """
    for path in (path for run in runs for path in run.episodes.values()):
        manifest = read_manifest(path.parent)
        if manifest is None:
            return config
        if (known := config_from_record(manifest.config)) is not None:
            return known
    return config


def can_pose(config: Config, env: str, family: str) -> bool:
    """Whether tasks of this family can be posed here without a network."""
    if env.startswith("agentgym:"):
        return family == "embedded"
    if env.startswith("custom:"):
        reference = config.data.custom.environments.get(env.partition(":")[2], "")
        return Path(reference.rpartition(":")[0]).expanduser().is_file()
    return env == "affine:sat" or family in GENERATED_FAMILIES or Path(config.data.affine.programs).exists()


def posed(
    config: Config, env: str, family: str, keys: Sequence[str], hashes: Mapping[str, str]
) -> dict[str, list[tuple[str, str]]]:
    plain = {key: key.partition("#")[0] for key in keys}  # "#1" behind a key: another sample of the task
    indices = sorted({int(key.rpartition("/")[2]) for key in plain.values()})
    posed = {task.key: task for task in task_set(env, family, config=config, sandbox=None).tasks(indices)}
    return {
        key: [(message.role, message.content) for message in posed[name].prompt]
        for key, name in plain.items()
        if posed[name].content_sha256 == hashes.get(key)
    }

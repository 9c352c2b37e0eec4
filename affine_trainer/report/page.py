"""The page: one HTML file that holds everything, rendered from what runs left on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from affine_trainer.colours import model_looks
from affine_trainer.report.episode_chunks import Prompts, pack_episodes
from affine_trainer.report.episodes import EpisodeFile
from affine_trainer.report.plots import THEMED, plotting
from affine_trainer.report.readings import config_differences, verdicts
from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.run_view import RunView
from affine_trainer.report.traced import FORMS, Traced, number, plain

TEMPLATES = Path(__file__).parent / "templates"
PUBLISHED = Path(__file__).parent / "published.yaml"


def render_page(
    runs: Sequence[RunFiles],
    experiments: Mapping[str, Mapping[str, Traced]],
    episodes: Mapping[str, EpisodeFile],
    prompts: Prompts,
) -> str:
    """The page of these runs as one HTML text; `episodes` by the labels that models have in the page."""
    several = len(runs) > 1
    views = [
        RunView(run, f"{run.name}/" if several else "", first=place == 0) for place, run in enumerate(runs)
    ]
    labels = [view.label(label) for view in views for label in view.labels]
    with plotting(THEMED):
        return (
            _environment()
            .get_template("page.html.j2")
            .render(
                title=f"affine: {', '.join(run.name for run in runs)}",
                style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
                script=Markup((TEMPLATES / "episodes.js").read_text(encoding="utf-8")),
                runs=runs,
                views=views,
                looks={label: asdict(look) for label, look in model_looks([*labels, *episodes]).items()},
                packed=pack_episodes(episodes, prompts) if episodes else None,
                start=first_filter(views, list(episodes)),
                episode_files=[file.path.as_posix() for file in episodes.values()],
                experiments=experiments,
                config_differences=config_differences(runs),
                published=published_results(),
            )
        )


def first_filter(views: Sequence[RunView], labels: Sequence[str]) -> dict[str, str]:
    """What the viewer shows first: failures of the candidate, beside the last baseline."""
    for view in views:
        for verdict in reversed(verdicts(view.run)):
            pair = {"model": view.label(verdict.candidate), "other": view.label(verdict.baseline)}
            if set(pair.values()) <= set(labels):
                return {**pair, "outcome": "0"}
    chosen = dict(zip(("model", "other"), reversed(labels), strict=False))
    return {**chosen, "outcome": "0"}


def published_results() -> list[dict[str, Any]]:
    """The rows of published.yaml."""
    return yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, form in FORMS.items():
        environment.filters[name] = lambda value, form=form: number(value, form)
    environment.filters["plain"] = plain
    return environment

"""The experiment files that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from affine_trainer.config import load_experiment

FILES = sorted((Path(__file__).parents[1] / "configs" / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_shipped_experiment_loads_with_all_its_overlays_and_seeds(file: Path) -> None:
    found = load_experiment(file, [], baseline=None, name=None)
    assert found.name == file.stem
    assert len(found.overlays) >= 4 and len(found.seeds) == 3
    assert found.baseline in found.overlays


def test_there_are_two() -> None:
    assert [file.stem for file in FILES] == ["algorithms", "vineppo_ablations"]

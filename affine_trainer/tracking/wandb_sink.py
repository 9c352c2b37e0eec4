"""Events to Weights & Biases; whatever goes wrong there is said once, and the run goes on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from affine_trainer.artifacts import write_atomic
from affine_trainer.config import Config, flatten

RUN_ID_FILE = "wandb_run_id.txt"
INIT_TIMEOUT_SECONDS = 60


class WandbSink:
    """One W&B run for one stage; a resumed stage continues it by the id kept in `folder`."""

    def __init__(self, config: Config, folder: Path, stage: str, console: Console) -> None:
        self._run: Any = None
        self._guard = _WarnOnce(console)
        with self._guard:
            self._run = _start(config, folder, stage)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if self._run is not None and not self._guard.warned:
            with self._guard:
                self._run.log({**metrics, "step": step})

    def close(self, failed: bool) -> None:
        if self._run is not None:
            with self._guard:
                self._run.finish(exit_code=int(failed))


def _start(config: Config, folder: Path, stage: str) -> Any:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    tracking = config.tracking
    online = tracking.wandb_mode == "online"
    run = wandb.init(
        project=tracking.wandb_project,
        entity=tracking.wandb_entity,
        mode=tracking.wandb_mode,
        dir=folder,
        id=_run_id(folder),
        resume="allow" if online else None,
        name=f"{config.run}-{stage}",
        group=config.run,
        job_type=stage,
        config=flatten(config),
        settings=wandb.Settings(
            silent=True, console="off", init_timeout=INIT_TIMEOUT_SECONDS, login_timeout=INIT_TIMEOUT_SECONDS
        ),
    )
    # Steps repeat after a resume; W&B's own counter refuses to go back, a metric of ours does not.
    run.define_metric("*", step_metric="step")
    return run


def _run_id(folder: Path) -> str:
    path = folder / RUN_ID_FILE
    if path.is_file():
        return path.read_text().strip()
    run_id = secrets.token_hex(4)
    write_atomic(path, run_id + os.linesep)
    return run_id


class _WarnOnce(AbstractContextManager):
    """Swallows what W&B raises (its service has private exception types) after one warning."""

    def __init__(self, console: Console) -> None:
        self.warned = False
        self._console = console

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self.warned:
            self._console.print(
                f"W&B failed and is left out from here on ({type(error).__name__}: {error}). "
                "The run goes on; every event is in events.jsonl.",
                markup=False,
                style="yellow",
            )
        self.warned = True
        return True

"""Events to Weights & Biases; whatever goes wrong there is said once, and the run goes on."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from affine_trainer.artifacts import write_atomic
from affine_trainer.colours import model_looks
from affine_trainer.config import Config, flatten

RUN_ID_FILE = "wandb_run_id.txt"
GRACE_SECONDS = 5.0  # W&B keeps most time limits itself, and says better what went wrong
MAX_RETRIES = 4  # of one request; W&B's own default goes on for hours


class WandbSink:
    """One W&B run for one stage; a resumed stage continues it by the id kept in `folder`.

    Lists of numbers become histograms, lists of rows tables. Nothing raises, and nothing takes longer than
    `tracking.wandb_timeout`.
    """

    def __init__(self, config: Config, folder: Path, stage: str, console: Console) -> None:
        self._run: Any = None
        self._timeout = config.tracking.wandb_timeout
        self._with_artifacts = config.tracking.wandb_artifacts
        self._guard = _WarnOnce(console)
        with self._guard:
            self._run = within(self._timeout, lambda: _start(config, folder, stage))

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if self._run is not None and not self._guard.warned:
            with self._guard:
                values = {name: _as_media(value) for name, value in metrics.items()}
                within(self._timeout, lambda: self._run.log({**values, "step": step}))

    def artifact(self, path: Path, kind: str) -> None:
        """The files of a folder, or one file, as an artifact that is named after the run."""
        if self._run is None or self._guard.warned or not self._with_artifacts:
            return
        with self._guard:
            within(self._timeout, lambda: self._log_artifact(path, kind))

    def _log_artifact(self, path: Path, kind: str) -> None:
        import wandb

        artifact = wandb.Artifact(f"{self._run.name}-{path.stem}", type=kind)
        if path.is_dir():
            artifact.add_dir(str(path))
        else:
            artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def close(self, failed: bool) -> None:
        if self._run is not None:
            with self._guard:
                within(self._timeout, lambda: self._run.finish(exit_code=int(failed)))


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """What `call` returns or raises; TimeoutError where it takes longer, and is left alone."""
    result: list[Any] = []
    kept = _Kept()

    def work() -> None:
        with kept:
            result.append(call())

    thread = threading.Thread(target=work, daemon=True, name="wandb")
    thread.start()
    thread.join(seconds + GRACE_SECONDS)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s (tracking.wandb_timeout)")
    if kept.error is not None:
        raise kept.error
    return result[0]


class _Kept(AbstractContextManager):
    """Keeps what is raised in a thread for the one that waits for it."""

    error: BaseException | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True


def _as_media(value: Any) -> Any:
    """A histogram of a list of numbers, a table of a list of rows, anything else as it is."""
    import wandb

    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(item, dict) for item in value):
        columns = list(value[0])
        return wandb.Table(columns=columns, data=[[row.get(name) for name in columns] for row in value])
    if all(isinstance(item, (int, float)) for item in value):
        return wandb.Histogram(value)
    return value


def _start(config: Config, folder: Path, stage: str) -> Any:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    tracking = config.tracking
    online, seconds = tracking.wandb_mode == "online", tracking.wandb_timeout
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
        config={**flatten(config), **look_of(stage)},
        settings=wandb.Settings(
            silent=True,
            console="off",
            init_timeout=seconds,
            login_timeout=seconds,
            finish_timeout=seconds,
            finish_timeout_raises=True,
            x_graphql_retry_max=MAX_RETRIES,
            x_graphql_timeout_seconds=seconds,
            x_file_stream_retry_max=MAX_RETRIES,
            x_file_stream_timeout_seconds=seconds,
            x_file_transfer_retry_max=MAX_RETRIES,
            x_file_transfer_timeout_seconds=seconds,
        ),
    )
    # Steps repeat after a resume; W&B's own counter refuses to go back, a metric of ours does not.
    run.define_metric("*", step_metric="step")
    return run


def look_of(stage: str) -> dict[str, str]:
    """The model that a stage makes or evaluates, and its constant look, as keys of the W&B run's config.

    W&B's client cannot set the colour of a run's line; docs/stages/eval.md says how a chart gets it.
    """
    model = stage.removeprefix("eval-")
    look = model_looks([model])[model]
    return {"look.model": model, "look.color": look.colour, "look.marker": look.marker}


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

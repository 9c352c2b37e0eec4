"""Would the candidate win if it were committed now, and how many more samples would settle that?"""

from __future__ import annotations

import json

from rich.console import Console

from affine_trainer.artifacts import log_dir, write_json
from affine_trainer.config import Config
from affine_trainer.report.folders import check_distinct, evaluation_folder
from affine_trainer.report.pairing import read_evaluation
from affine_trainer.report.plan_table import plan_notes, plan_table
from affine_trainer.report.planning import ORDERS, plan_for
from affine_trainer.scoring import scorings_named
from affine_trainer.tracking import progress


def plan(
    config: Config,
    candidate: str,
    baseline: str,
    *,
    scoring: str = "all",
    samples: int | None = None,
    as_json: bool = False,
) -> None:
    """Print the plan for two evaluated models, named as in `compare`; kept in logs/{run}/plan/plan.json.

    StageError when one is not evaluated, DataError when the two do not hold the same tasks.
    """
    chosen = scorings_named(scoring)
    check_distinct(candidate, [baseline])
    mine, theirs = (
        read_evaluation(evaluation_folder(config, label), label) for label in (candidate, baseline)
    )
    beside = Console(stderr=True)  # so that the JSON on stdout stays JSON
    with progress("plan", len(chosen) * len(ORDERS), unit="rules", console=beside) as bar:
        found = plan_for(
            mine,
            theirs,
            chosen,
            config.sampling,
            samples=samples,
            seed=config.seed,
            on_step=bar.advance,
        )
    write_json(log_dir(config, "plan", "plan.json"), found)  # where the report looks for it
    if as_json:
        print(json.dumps(found, indent=2))
        return
    console = Console()
    console.print(plan_table(found))
    for note in plan_notes(found):
        console.print(note, markup=False, highlight=False, soft_wrap=True)

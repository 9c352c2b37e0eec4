"""What the stages play on."""

from __future__ import annotations

from affine_trainer.config import Config, SandboxConfig
from affine_trainer.config.cores import usable_cores
from affine_trainer.envs.stage_tasks import open_sandbox


def test_programs_run_on_every_core_unless_the_config_says_on_how_many() -> None:
    with open_sandbox(Config()) as sandbox:
        assert sandbox.num_workers == usable_cores()
        assert sandbox.level_reached is None, "nothing has been run"
    with open_sandbox(Config(sandbox=SandboxConfig(workers=3))) as sandbox:
        assert sandbox.num_workers == 3

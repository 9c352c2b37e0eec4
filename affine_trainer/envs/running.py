"""Runs a program for a grader: in the sandbox only, with the sandbox's own failures kept apart."""

from __future__ import annotations

import re

from affine_trainer.envs.single_turn import Ungraded
from affine_trainer.rules import Rules
from affine_trainer.sandbox import ProgramRun, Sandbox

MAIN_GUARD = re.compile(r"""if\s+__name__\s*==\s*['"]__main__['"]""")
SOLVE_CALL = """

if __name__ == "__main__":
    answer = solve()
    if isinstance(answer, (list, tuple)):
        print(*answer)
    elif answer is not None:
        print(answer)
"""


def run_program(sandbox: Sandbox, program: str, stdin: str, rules: Rules) -> ProgramRun:
    """One run. Under the exact rules a silent program with an unguarded `solve` is run again, calling it.

    Raises Ungraded where the sandbox itself failed.
    """
    run = sandbox.run(program, stdin)
    silent = not run.stdout.strip() and not run.stderr.strip()
    if rules.validator_exact and silent and "def solve" in program and not MAIN_GUARD.search(program):
        run = sandbox.run(program + SOLVE_CALL, stdin)
    if run.verdict == "sandbox_error":
        raise Ungraded(f"the sandbox failed: {last_line(run.stderr)}")
    return run


def last_line(text: str) -> str:
    """The last line that says something, at most 200 characters of it."""
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "nothing said")

"""affine:ded: asks for a program that solves a problem, and runs it on the problem's test cases."""

from __future__ import annotations

from affine_trainer.envs.cases import KINDS, TestCase
from affine_trainer.envs.comparison import same_answer
from affine_trainer.envs.parsing import extract_program
from affine_trainer.envs.program_rows import Row
from affine_trainer.envs.program_tasks import ProgramProblem
from affine_trainer.envs.prompts import Template
from affine_trainer.envs.running import last_line, run_program
from affine_trainer.envs.single_turn import Ungraded
from affine_trainer.records import Grade, Message
from affine_trainer.rules import Rules
from affine_trainer.sandbox import Sandbox


def grade_program(row: Row, reply: str, sandbox: Sandbox, rules: Rules) -> Grade:
    """1.0 if the reply's program passes every case of a known kind, else 0.0; stops at the first failure.

    Raises Ungraded where there is no such case (the exact rules score it instead) or the sandbox fails.
    """
    program = extract_program(reply)
    cases = [case for case in row.cases if case.kind in KINDS]
    if not cases:
        return _grade_without_cases(row, rules)
    for number, case in enumerate(cases, start=1):
        fault = _fault(case, program, sandbox, rules)
        if fault:
            return Grade(0.0, False, f"case {number} of {len(cases)}: {fault}")
    return Grade(1.0, True, f"all {len(cases)} cases pass")


def _fault(case: TestCase, program: str, sandbox: Sandbox, rules: Rules) -> str | None:
    """What is wrong with the program's run on one case, or None."""
    check = case.check(program, as_json=rules.validator_exact)
    run = run_program(sandbox, check.program, check.stdin, rules)
    if run.stderr.strip():
        return f"the program wrote to stderr: {last_line(run.stderr)}"
    if run.verdict != "ok" and not (rules.validator_exact and run.verdict == "error"):
        exit_code = f" (exit code {run.exit_code})" if run.verdict == "error" else ""
        return f"the program ended with {run.verdict}{exit_code}"
    return None if same_answer(check.expected, run.stdout) else "the program printed something else"


def _grade_without_cases(row: Row, rules: Rules) -> Grade:
    kinds = ", ".join(sorted({case.kind for case in row.cases})) or "none"
    if not rules.validator_exact:
        raise Ungraded(f"the row has no test case of a known kind (kinds: {kinds})")
    if row.cases:
        return Grade(1.0, True, f"vacuous pass of the exact rules: no case of a known kind (kinds: {kinds})")
    return Grade(0.0, False, "the row has no readable test cases")


def pose(row: Row, template: Template) -> tuple[Message, ...]:
    """The prompt: the row's statement, right-stripped, and the rules."""
    return template.fill(prompt=row.prompt.rstrip())


def write_program(row: Row) -> str | None:
    """The row's own program as a reply, or None where it has none."""
    program = row.program.strip()
    return f"```python\n{program}\n```" if program else None


DED = ProgramProblem(
    env="affine:ded",
    required=("prompt", "cases"),
    pose=pose,
    content=lambda row: row.ded_sha256,
    expert=write_program,
    grade=grade_program,
)

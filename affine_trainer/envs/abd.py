"""affine:abd: shows a program and what it printed, and asks for an input that makes it print that."""

from __future__ import annotations

from affine_trainer.envs.comparison import same_output
from affine_trainer.envs.parsing import extract_input, has_enough_lines
from affine_trainer.envs.program_rows import Row
from affine_trainer.envs.program_tasks import ProgramProblem
from affine_trainer.envs.prompts import Template
from affine_trainer.envs.running import last_line, run_program
from affine_trainer.records import Grade, Message
from affine_trainer.rules import Rules
from affine_trainer.sandbox import Sandbox


def grade_input(row: Row, reply: str, sandbox: Sandbox, rules: Rules) -> Grade:
    """1.0 if the program, run on the reply's input, prints what was shown and nothing on stderr, else 0.0.

    Raises Ungraded where the sandbox fails.
    """
    stdin = extract_input(reply, tags_in_thinking_count=rules.validator_exact)
    if stdin is None:
        return _failed("no <INPUT> ... </INPUT> in the reply")
    if "```" in stdin:
        return _failed("a code fence between the tags")
    if not has_enough_lines(row.program, stdin):
        return _failed("fewer lines of input than the program reads")
    if stdin and rules.final_newline:
        stdin += "\n"
    run = run_program(sandbox, row.program, stdin, rules)
    if run.verdict not in ("ok", "error"):
        return _failed(f"the program was stopped: {run.verdict}")
    if run.stderr:
        return _failed(f"the program wrote to stderr: {last_line(run.stderr)}")
    if not same_output(row.output, run.stdout):
        return _failed("the program printed something else")
    return Grade(1.0, True, "the program printed what was shown")


def _failed(why: str) -> Grade:
    return Grade(0.0, False, why)


def pose(row: Row, template: Template) -> tuple[Message, ...]:
    """The prompt. It shows the row's own output, so that posing a task runs nothing."""
    return template.fill(program=row.program.rstrip(), output=row.output.rstrip("\n"))


def write_input(row: Row) -> str:
    """An input of the row as a reply."""
    return f"<INPUT>\n{row.find_input().rstrip()}\n</INPUT>"


ABD = ProgramProblem(
    env="affine:abd",
    required=("program", "inputs", "output"),
    pose=pose,
    content=lambda row: row.abd_sha256,
    expert=write_input,
    grade=grade_input,
)

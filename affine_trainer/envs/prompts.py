"""The wording of the prompts: ours, or template files of the user's own.

A template is plain text with slots in braces, filled in one pass (braces of other words stay as they are):
sat.txt {formula}, and if wanted {n} variables, {k} literals a clause; abd.txt {program} and {output};
ded.txt {prompt}, the right-stripped problem statement. The interactive environments have no slots:
babyai.txt and the like hold what a player is told first. `data.prompts` names the folder that holds them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from affine_trainer.config import Config
from affine_trainer.envs.agents.table import AGENTS
from affine_trainer.errors import DataError
from affine_trainer.records import Message

REQUIRED_SLOTS = {"sat": ("formula",), "abd": ("program", "output"), "ded": ("prompt",)}
OPTIONAL_SLOTS = {"sat": ("n", "k"), "abd": (), "ded": ()}

OWN_TEMPLATES = {
    "sat": (
        "Make this {k}-SAT formula over x1..x{n} true:\n"
        "{formula}\n"
        "Answer with comma-separated values like x1=True, x2=False, ... or UNSAT."
    ),
    "abd": (
        "Find stdin that makes this program print exactly the output below.\n"
        "```python\n{program}\n```\n"
        "Output:\n"
        "```\n{output}\n```\n"
        "Reason if you like; only what stands between <INPUT> and </INPUT> is read: "
        "raw values, one line of input a line, no prefixes."
    ),
    "ded": (
        "{prompt}\n"
        "\n---\n"
        "Write a complete Python 3 program that reads all input from STDIN and prints only the answer "
        "to STDOUT, no debug text. Return it as one ```python fenced block."
    ),
}


@dataclass(frozen=True, slots=True)
class Template:
    """One environment's wording; `env` is sat, abd or ded."""

    env: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fill(self, **values: str | int) -> tuple[Message, ...]:
        """The prompt: one user message with every slot filled. A value's own braces are left alone."""
        slots = re.compile("|".join(re.escape(f"{{{name}}}") for name in values))
        return (Message("user", slots.sub(lambda slot: str(values[slot.group()[1:-1]]), self.text)),)


def agent_rules(name: str, config: Config) -> Template:
    """What the players of an interactive environment are told: the user's `{name}.txt`, or our own rules."""
    folder = config.data.prompts
    path = Path(folder).expanduser() / f"{name}.txt" if folder else None
    if path and path.is_file():
        return _read_template(name, path)
    rules = AGENTS[name].rules()
    return Template(name, rules.full if config.data.agentgym.rules == "full" else rules.short)


def load_templates(folder: str | None) -> dict[str, Template]:
    """The templates of `folder` by environment; ours where it has no file for one, or is None.

    DataError when the folder holds none of the files, or a file lacks a slot.
    """
    templates = {env: Template(env, text) for env, text in OWN_TEMPLATES.items()}
    if folder is None:
        return templates
    names = (*templates, *AGENTS)
    paths = {env: path for env in names if (path := Path(folder).expanduser() / f"{env}.txt").is_file()}
    if not paths:
        raise DataError(
            f"data.prompts: {folder} holds none of {', '.join(f'{env}.txt' for env in names)}; "
            "put one there or unset it"
        )
    return templates | {env: _read_template(env, path) for env, path in paths.items() if env in templates}


def _read_template(env: str, path: Path) -> Template:
    try:
        text = path.read_text(encoding="utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    missing = [f"{{{name}}}" for name in REQUIRED_SLOTS.get(env, ()) if f"{{{name}}}" not in text]
    if missing:
        raise DataError(f"{path} lacks the slot {' and '.join(missing)}; write it where the value belongs")
    return Template(env, text)


def template_hashes(config: Config) -> dict[str, str]:
    """SHA-256 of each environment's wording, for the manifest."""
    templates = load_templates(config.data.prompts)
    templates |= {name: agent_rules(name, config) for name in config.data.agentgym.environments}
    return {env: template.sha256 for env, template in templates.items()}

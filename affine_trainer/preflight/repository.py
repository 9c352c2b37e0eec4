"""Checks of a repository's name, and what can only be seen on the hub."""

from __future__ import annotations

from collections.abc import Callable

from affine_trainer.preflight.subject import Outcome, Subject, failed, passed, unchecked

WORD = "affine"
MAX_COMMITS = 100
NAME_IT = "give the name of the repository with --name OWNER/REPO"


def is_public(subject: Subject) -> Outcome:
    """Not private."""
    return unchecked(f"open {_page(subject)} without being logged in: it must show the files")


def is_ungated(subject: Subject) -> Outcome:
    """Nobody is asked to agree to anything before the download."""
    return unchecked(f"see that {_page(subject)}/settings has gated access off")


def few_commits(subject: Subject) -> Outcome:
    """At most 100 commits."""
    return unchecked(f"count the commits on {_page(subject)}/commits/main: at most {MAX_COMMITS}")


def starts_with_word(subject: Subject) -> Outcome:
    """The repository's name begins with "affine"."""
    return _spelled(subject, lambda name: name.startswith(WORD), f"begin with {WORD!r}")


def contains_word(subject: Subject) -> Outcome:
    """The repository's name contains "affine"."""
    return _spelled(subject, lambda name: WORD in name, f"contain {WORD!r}")


def ends_with_key(subject: Subject) -> Outcome:
    """The repository's name ends with the miner's key, letter case included."""
    if subject.repository is None or not subject.hotkey:
        return unchecked(f"{NAME_IT}, and the key it must end with by --hotkey")
    if subject.repository.endswith(subject.hotkey):
        return passed(f"{subject.repository} ends with the key")
    return failed(f"{subject.repository} does not end with {subject.hotkey}: rename the repository")


def _spelled(subject: Subject, holds: Callable[[str], bool], must: str) -> Outcome:
    name = subject.repository
    if name is None:
        return unchecked(NAME_IT)
    if holds(name):
        return passed(f"{name} does {must}")
    if holds(name.lower()):
        return unchecked(f"{name} does {must} but for letter case, which may count: write it in lower case")
    return failed(f"{name} does not {must}: rename the repository")


def _page(subject: Subject) -> str:
    return f"https://huggingface.co/{subject.name or 'OWNER/REPO'}"

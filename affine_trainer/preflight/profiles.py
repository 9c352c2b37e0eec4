"""The dated rules of miners' repositories: which checks a profile makes, and since when each rule stood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from affine_trainer.errors import AffineError
from affine_trainer.preflight import configuration, repository, weights
from affine_trainer.preflight.subject import Outcome, Subject

OURS = "our own check"


class Rule(NamedTuple):
    """One row of a report; `since` is when the rule stood, or OURS."""

    name: str
    since: str
    check: Callable[[Subject], Outcome]


@dataclass(frozen=True, slots=True)
class Profile:
    """What was asked of a repository in `period`."""

    name: str
    period: str
    rules: tuple[Rule, ...]


SOUND = (
    Rule("no pickle", OURS, weights.no_pickle),
    Rule("weights whole", OURS, weights.weights_are_whole),
    Rule("answers", OURS, configuration.answers),
)
OPEN = (
    Rule("public", "2025", repository.is_public),
    Rule("ungated", "2025", repository.is_ungated),
    Rule("safetensors only", "2025", weights.only_safetensors),
)
NAMED = (Rule("name begins with affine", "2025", repository.starts_with_word),)
SHARDS = (Rule("no shard shared", "2025-09-18 to 2025-11-06", weights.no_shard_shared),)
SETS = (Rule("weights not identical", "after 2025-11-06", weights.not_identical),)
CHAMPION = (
    Rule("allowed architecture", "2026", configuration.allowed_architecture),
    Rule("no quantization_config", "2026", configuration.not_quantized),
    Rule("name contains affine", "2026", repository.contains_word),
    Rule("name ends with the key", "2026", repository.ends_with_key),
    Rule("chat template", "2026", configuration.has_template),
    Rule("no remote code", "2026", configuration.no_remote_code),
    Rule("champion's tokenizer", "2026", configuration.same_tokenizer),
    Rule("at most 100 commits", "2026", repository.few_commits),
)

# 2026 keeps the rules of 2025 that nothing was heard of being lifted; the name's is replaced.
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("miner-2025", "2025, before 18 September", (*OPEN, *NAMED, *SOUND)),
        Profile("miner-2025-09", "18 September to 6 November 2025", (*OPEN, *NAMED, *SHARDS, *SOUND)),
        Profile("miner-2025-11", "after 6 November 2025", (*OPEN, *NAMED, *SETS, *SOUND)),
        Profile("miner-2026", "2026", (*OPEN, *CHAMPION, *SETS, *SOUND)),
    )
}
LATEST = "miner-2026"


def profile_named(name: str | None) -> Profile:
    """The profile of this name, the latest for None; AffineError listing the names when there is none."""
    if name is None:
        return PROFILES[LATEST]
    if name not in PROFILES:
        raise AffineError(f"there is no profile {name!r}; --profile takes {', '.join(PROFILES)}")
    return PROFILES[name]

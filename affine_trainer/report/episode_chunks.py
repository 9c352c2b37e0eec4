"""Episodes packed for a page: a small index to filter by, and compressed chunks that are read as needed."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affine_trainer.records import Episode
from affine_trainer.report.episodes import EpisodeFile, environment_of, is_unseen

TASKS_A_CHUNK = 100
MAX_CHARACTERS = 12_000_000  # of all chunks as base64, so that the page stays below 15 MB
TEXT_LIMITS = (None, 20_000, 8_000, 3_000, 1_000, 300, 100)
MAX_REASON = 90
FAILED, SOLVED, UNGRADED = 0, 1, 2

Prompts = Mapping[str, Sequence[tuple[str, str]]]  # (role, content) of each message, by task key


@dataclass(frozen=True, slots=True)
class PackedEpisodes:
    """`index` and `chunks` are gzip in base64; `text_limit` is how many characters of a text are kept."""

    index: str
    chunks: tuple[str, ...]
    num_episodes: int
    num_tasks: int
    text_limit: int | None

    @property
    def characters(self) -> int:
        return len(self.index) + sum(map(len, self.chunks))


def pack_episodes(
    models: Mapping[str, EpisodeFile], prompts: Prompts, *, max_characters: int = MAX_CHARACTERS
) -> PackedEpisodes:
    """All plays of all models, the plays of one task together.

    Where that is too long for a page, every long text is cut in its middle, by the mildest of TEXT_LIMITS
    that makes it fit (the last one is taken as it is); what was left out is said in its place.
    """
    keys = list(dict.fromkeys(key for file in models.values() for key in file.episodes))
    index = _packed(_index(models, keys))
    chunks: tuple[str, ...] = ()
    limit: int | None = None
    for limit in TEXT_LIMITS:
        chunks = tuple(_packed(chunk) for chunk in _chunks(models, keys, prompts, limit))
        if len(index) + sum(map(len, chunks)) <= max_characters:
            break
    count = sum(len(file.episodes) for file in models.values())
    return PackedEpisodes(index, chunks, count, len(keys), limit)


def unpack(text: str) -> Any:
    """What `pack_episodes` packed; the page does the same with DecompressionStream."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def note_of(episode: Episode) -> str:
    """Why a play was not solved, in one line; nothing of one that was, since they all say the same."""
    if episode.grade is not None and episode.grade.success:
        return ""
    why = episode.error if episode.grade is None else episode.grade.why
    return (why or "").partition("\n")[0].strip()[:MAX_REASON] or "no reason given"


def reason_of(episode: Episode) -> str:
    """That line with its numbers left out, to filter by: equal mistakes read the same."""
    plain = re.sub(r"-?\d+(\.\d+)?", "#", re.sub(r"'[^']*'", "'…'", note_of(episode)))
    return plain or "solved"


def _index(models: Mapping[str, EpisodeFile], keys: Sequence[str]) -> dict[str, Any]:
    """Columns with one entry an episode; a task is a position in `keys`, which are grouped in chunks."""
    environments, reasons, notes = dict[str, int](), dict[str, int](), dict[str, int]()
    positions = {key: place for place, key in enumerate(keys)}
    names = ("task", "model", "outcome", "tokens", "turns", "reason", "note", "stop")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    stops = dict[str, int]()
    for number, file in enumerate(models.values()):
        for key, episode in file.episodes.items():
            columns["task"].append(positions[key])
            columns["model"].append(number)
            columns["outcome"].append(_outcome(episode))
            columns["tokens"].append(episode.num_completion_tokens)
            columns["turns"].append(len(episode.turns))
            columns["note"].append(notes.setdefault(note_of(episode), len(notes)))
            columns["reason"].append(reasons.setdefault(reason_of(episode), len(reasons)))
            columns["stop"].append(stops.setdefault(episode.stop_reason, len(stops)))
    group = [environments.setdefault(_group(key), len(environments)) for key in keys]
    return {
        "models": list(models),
        "environments": list(environments),
        "reasons": list(reasons),
        "notes": list(notes),
        "stops": list(stops),
        "keys": list(keys),
        "environment": group,
        "tasks_a_chunk": TASKS_A_CHUNK,
        **columns,
    }


def _group(key: str) -> str:
    return environment_of(key) + (" (unseen families)" if is_unseen(key) else "")


def _outcome(episode: Episode) -> int:
    if episode.grade is None:
        return UNGRADED
    return SOLVED if episode.grade.success else FAILED


def _chunks(
    models: Mapping[str, EpisodeFile], keys: Sequence[str], prompts: Prompts, limit: int | None
) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(keys), TASKS_A_CHUNK):
        yield [_task(models, key, prompts, limit) for key in keys[start : start + TASKS_A_CHUNK]]


def _task(models: Mapping[str, EpisodeFile], key: str, prompts: Prompts, limit: int | None) -> dict[str, Any]:
    prompt = prompts.get(key)
    plays = {
        str(number): _play(file, key, limit)
        for number, file in enumerate(models.values())
        if key in file.episodes
    }
    asked = None if prompt is None else [[role, _cut(text, limit)] for role, text in prompt]
    return {"prompt": asked, "plays": plays}


def _play(file: EpisodeFile, key: str, limit: int | None) -> dict[str, Any]:
    episode = file.episodes[key]
    grade = episode.grade
    return {
        "reward": None if grade is None else grade.reward,
        "why": None if grade is None else _cut(grade.why, limit),
        "error": episode.error and _cut(episode.error, limit),
        "prompt_tokens": episode.num_prompt_tokens,
        "seconds": round(episode.seconds, 3),
        "difficulty": episode.difficulty,
        "from": f"{file.path.as_posix()}:{file.lines[key]}",
        "turns": [
            [_cut(turn.observation, limit), _cut(turn.reply, limit), turn.reward, turn.num_tokens]
            for turn in episode.turns
        ],
    }


def _cut(text: str, limit: int | None) -> str:
    if limit is None or len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def _packed(value: Any) -> str:
    plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return base64.b64encode(gzip.compress(plain, 9, mtime=0)).decode("ascii")

"""A served model as a policy: what is asked, that faults lose nothing, and that failures are never zeros."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path

import pytest

from affine_trainer.config import Config, load_config
from affine_trainer.envs import task_set
from affine_trainer.envs.stage_tasks import evaluation_tasks
from affine_trainer.errors import AffineError, ConfigError, StageError
from affine_trainer.policies.chat_client import retry_after
from affine_trainer.policies.endpoint import EndpointPolicy
from affine_trainer.policies.endpoint_names import endpoint_address, endpoint_label
from affine_trainer.policies.scripted import all_true
from affine_trainer.records import Completion, Conversation, Message, Sampling, TaskGroup, seed_from
from affine_trainer.rollout import play
from affine_trainer.rules import task_seed
from tests.policies.chat_server import ChatServer, Reply, completion, once_there_are

GREEDY = Sampling(0.0, 1.0, 32, seed=5)
QUICK = (
    "endpoint.model=served",
    "endpoint.backoff=0.001",
    "endpoint.longest_pause=0.01",
    "data.agentgym.environments=[]",
    "data.affine.environments=[sat]",
)
BUSY = Reply(429, {"error": {"message": "slow down"}})


def config_for(server: ChatServer, *overrides: str) -> Config:
    return load_config(None, [f"endpoint.url={server.url}", *QUICK, *overrides])


def talks(count: int) -> list[Conversation]:
    """One conversation about each of the first evaluation tasks of SAT."""
    tasks = task_set("affine:sat", "small", config=load_config(None), sandbox=None)
    found = tasks.tasks(tasks.indices("evaluation", count, 0))
    return [Conversation(list(task.prompt), task=task) for task in found]


def echo(body: dict) -> Reply:
    """A reply that tells which prompt it answers."""
    return completion(f"answer to {body['messages'][-1]['content']}")


def replies(config: Config, conversations: Sequence[Conversation], sampling=GREEDY) -> list[Completion]:
    with EndpointPolicy(config, "served") as policy:
        return policy.reply(conversations, sampling)


def test_a_request_says_all_that_decides_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINE_ENDPOINT_KEY", "sk-123")
    [talk] = talks(1)
    with ChatServer(lambda body: completion("x1=True", "length", 40, 12)) as server:
        [found] = replies(config_for(server), [talk])
    [body] = server.bodies
    assert talk.task is not None
    assert body == {
        "model": "served",
        "messages": [{"role": "user", "content": talk.task.prompt[0].content}],
        "max_tokens": 32,
        "temperature": 0.0,
        "seed": task_seed("affine:sat", talk.task.index),
    }
    assert server.headers[0]["Authorization"] == "Bearer sk-123"
    assert (found.text, found.stop, found.num_tokens, talk.sent_tokens) == ("x1=True", "length", 12, 40)
    assert talk.messages[-1] == Message("assistant", "x1=True")


def test_the_seed_of_a_task_is_the_validators() -> None:
    # printf 'affine:sat:17' | sha256sum | cut -c9-16: the low half of the first eight bytes
    assert task_seed("affine:sat", 17) == 0x637A16F2


def test_samples_of_a_task_have_seeds_of_their_own_and_older_rules_no_seed_of_the_validators() -> None:
    [first], [second] = talks(1), talks(1)
    second.sample = 1
    assert first.task is not None
    validators = task_seed("affine:sat", first.task.index)
    with ChatServer(echo) as server:
        replies(config_for(server), [first])
        replies(config_for(server), [second])
        replies(config_for(server, "evaluation.rules=affine-2025-10"), talks(1))
        replies(config_for(server, "evaluation.rules=affine-2025-10", "seed=1"), talks(1))
    seeds = [body["seed"] for body in server.bodies]
    assert seeds[0] == validators
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seeds[2] == seed_from(0, first.task.key, 0) % 2**32


def faults(number: int, body: dict) -> str | Reply | None:
    """Each tenth connection is dropped; beside them come all other faults that pass."""
    kinds: dict[int, str | Reply] = {
        0: "dropped",
        1: "cut",
        2: BUSY,
        3: Reply(429, "", {"retry-after-ms": "20"}),
        4: Reply(500, "<html>oops</html>"),
        5: Reply(503, {"error": "loading"}),
        6: Reply(200, "not JSON"),
        7: Reply(200, {"choices": []}),
        8: Reply(200, {"choices": [{"message": {"content": 7}}]}),
        9: Reply(200, "[" * 100_000),
    }
    if number % 10 == 0:
        return "dropped" if number % 20 else "cut"
    return kinds.get(number // 4 % 40) if number % 4 == 1 else None


def test_a_hundred_requests_at_once_lose_nothing_to_a_server_that_drops_every_tenth_connection() -> None:
    conversations = talks(100)
    prompts = [talk.messages[0].content for talk in conversations]
    with ChatServer(echo, once_there_are(100, faults)) as server:
        found = replies(config_for(server, "endpoint.concurrency=100"), conversations)
    assert [completion.text for completion in found] == [f"answer to {prompt}" for prompt in prompts]
    assert {completion.stop for completion in found} == {"stop"}
    assert len(server.bodies) > 120
    assert server.most == 100


def test_a_slow_answer_is_asked_for_again() -> None:
    with ChatServer(echo, lambda number, body: "slow" if number < 2 else None) as server:
        found = replies(config_for(server, "endpoint.timeout=0.3"), talks(2))
    assert {completion.stop for completion in found} == {"stop"}
    assert len(server.bodies) >= 4


def test_no_more_requests_are_open_than_the_concurrency_allows() -> None:
    with ChatServer(echo, once_there_are(3)) as server:
        replies(config_for(server, "endpoint.concurrency=3"), talks(20))
    assert server.most == 3


def test_requests_begin_no_faster_than_the_rate_allows() -> None:
    with ChatServer(echo, lambda number, body: BUSY if number == 2 else None) as server:
        began = time.monotonic()
        replies(config_for(server, "endpoint.requests_per_minute=3000"), talks(10))
    assert len(server.times) == 11
    assert server.times[-1] - began >= 10 * 0.02


def test_nobody_asks_before_the_time_that_a_server_names() -> None:
    def fault(number: int, body: dict) -> Reply | None:
        return Reply(429, "", {"retry-after-ms": "300"}) if number == 0 else None

    with ChatServer(echo, fault) as server:
        config = config_for(server, "endpoint.concurrency=1")
        replies(config, talks(4))
    assert len(server.times) == 5
    assert min(server.times[1:]) - server.times[0] >= 0.3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": formatdate(1_000_060, usegmt=True)}, 60.0),
        ({"retry-after": formatdate(999_000, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
    ],
)
def test_what_a_server_asks_to_wait_is_read_as_seconds_or_as_a_date(headers: dict, seconds: float) -> None:
    assert retry_after(headers, 1_000_000.0) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("fault", "why", "asked"),
    [
        (Reply(500, {"error": "out of memory"}), r"status 500: .*out of memory.* \(asked 3 times\)", 3),
        ("dropped", r"the connection was lost.*\(asked 3 times\)", 3),
        (Reply(400, {"error": "context length"}), r"status 400: .*context length", 1),
        (Reply(429, "", {"retry-after": "999"}), r"asks to wait 999 s, more than endpoint.longest_wait", 1),
    ],
)
def test_a_request_that_fails_for_good_is_an_error_and_not_a_zero(
    fault: str | Reply, why: str, asked: int
) -> None:
    [bad, good] = talks(2)
    doomed = bad.messages[0].content

    def fails(number: int, body: dict) -> str | Reply | None:
        return fault if body["messages"][0]["content"] == doomed else None

    tasks = task_set("affine:sat", "small", config=load_config(None), sandbox=None)
    assert bad.task is not None and good.task is not None
    group = TaskGroup(tasks, [bad.task, good.task])
    with ChatServer(echo, fails) as server:
        config = config_for(server, "endpoint.retries=2")
        with EndpointPolicy(config, "served") as policy:
            [[lost, kept]] = play([group], policy, GREEDY, seed=0, chunk_size=2)
    assert (lost.grade, lost.stop_reason, lost.turns) == (None, "error", [])
    assert lost.error is not None and re.match(rf"endpoint: .*{why}", lost.error)
    assert kept.grade is not None
    assert len(server.bodies) == asked + 1


def test_a_reply_without_content_is_an_empty_reply() -> None:
    with ChatServer(lambda body: completion(None, "length")) as server:
        [found] = replies(config_for(server), talks(1))
    assert (found.text, found.stop, found.error) == ("", "length", None)


def test_a_server_that_does_not_count_tokens_is_no_fault() -> None:
    def uncounted(body: dict) -> Reply:
        return Reply(200, {"choices": [{"message": {"content": "hello"}}]})

    with ChatServer(uncounted) as server:
        [found] = replies(config_for(server), talks(1))
    assert (found.text, found.num_tokens) == ("hello", 0)


def test_a_server_that_is_gone_stops_the_evaluation_with_a_sentence() -> None:
    with ChatServer(echo, lambda number, body: Reply(500, "down") if number > 3 else None) as server:
        config = config_for(server, "endpoint.retries=0", "endpoint.max_failures=6", "endpoint.concurrency=1")
        with pytest.raises(StageError, match=r"6 requests in a row to .* failed.*run the same command"):
            replies(config, talks(100))
    assert len(server.bodies) in (10, 11)  # the next may have begun when the sixth fails


def test_no_server_and_a_wrong_key_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-very-secret"
    monkeypatch.setenv("MY_KEY", secret)
    wrong = Reply(401, {"error": f"Incorrect key {secret}"})
    with ChatServer(echo, lambda number, body: wrong) as server:
        config = config_for(server, "endpoint.key_variable=MY_KEY")
        with pytest.raises(AffineError, match=r"status 401: .*\[the key\].*set MY_KEY to its key") as caught:
            replies(config, talks(40))
    assert secret not in str(caught.value)
    with pytest.raises(AffineError, match=r"no server answers at http://127.0.0.1:\d+/v1"):
        replies(config, talks(1))


def test_a_wrong_name_of_the_model_stops_at_the_first_answer() -> None:
    missing = Reply(404, {"error": "no model served"})
    with (
        ChatServer(echo, lambda number, body: missing) as server,
        pytest.raises(AffineError, match=r"status 404: .*no model served.*check endpoint.url"),
    ):
        replies(config_for(server, "endpoint.concurrency=1"), talks(50))
    assert len(server.bodies) < 50


def test_an_answer_elsewhere_is_not_followed_with_the_key() -> None:
    with ChatServer(echo) as other:
        moved = Reply(307, "", {"Location": f"{other.url}/chat/completions"})
        with (
            ChatServer(echo, lambda number, body: moved) as server,
            pytest.raises(AffineError, match="status 307"),
        ):
            replies(config_for(server), talks(1))
    assert other.bodies == []


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("https://models.example/api/v1/", "https://models.example/api/v1"),
        ("http://[::1]:8000/v1/chat/completions", "http://[::1]:8000/v1"),
    ],
)
def test_the_address_may_be_written_in_several_ways(url: str, address: str) -> None:
    assert endpoint_address(url) == address


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "http://", "http://h:99999/v1", "x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(AffineError, match=r"endpoint.url: .* is no address"):
        endpoint_address(url)


@pytest.mark.parametrize("url", ["https://me:pass@h/v1", "https://h/v1?key=pass", "https://pass@h/v1"])
def test_a_secret_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(AffineError, match="key_variable") as caught:
        endpoint_address(url)
    assert "pass@" not in str(caught.value) and "=pass" not in str(caught.value)


def test_a_label_tells_model_and_server() -> None:
    assert endpoint_label("http://localhost:8000", "Qwen/Qwen3-4B") == "Qwen-Qwen3-4B-at-localhost-8000"
    assert endpoint_label("https://models.example/v1", "/m/nano") == "m-nano-at-models.example"


def test_url_and_name_go_together() -> None:
    with pytest.raises(ConfigError, match=r"url needs model as well \(--endpoint URL --served-model NAME\)"):
        load_config(None, ["endpoint.url=http://localhost:8000"])


def test_every_turn_sends_the_whole_conversation_and_long_ones_end(tmp_path: Path) -> None:
    """Alfworld with a model that always looks around; the server counts 10 tokens a message."""

    def look(body: dict) -> Reply:
        return completion("Action: look", prompt_tokens=10 * len(body["messages"]))

    with ChatServer(look) as server:
        config = config_for(
            server,
            "data.agentgym.environments=[alfworld]",
            "evaluation.num_samples=1",
            "evaluation.agent_samples=2",
            "evaluation.max_rounds=6",
            "model.max_episode_tokens=103",
        )
        [_, group] = evaluation_tasks(config, None)
        with EndpointPolicy(config, "served") as policy:
            [episodes] = play([group], policy, Sampling(0.0, 1.0, 64, 0), seed=0, chunk_size=2)
    reply_tokens = config.data.agentgym.max_reply_tokens
    for episode in episodes:
        # Messages before the replies: 3, 5, 7, 9; ninety tokens and a reply do not fit into 103.
        assert (episode.stop_reason, len(episode.turns)) == ("token_limit", 3)
        assert episode.grade is not None
        assert (episode.num_prompt_tokens, episode.num_completion_tokens) == (30 + 50 + 70 + 90, 9)
    assert {body["max_tokens"] for body in server.bodies} == {reply_tokens}
    roles = [[message["role"] for message in body["messages"]] for body in server.bodies]
    assert roles[0] == ["user", "assistant", "user"]
    assert max(roles, key=len) == ["user", "assistant", "user"] + 3 * ["assistant", "user"]


def test_replies_are_graded_like_any_others() -> None:
    """A server that answers as a trivial policy does gets that policy's grades."""

    def scripted(body: dict) -> Reply:
        return completion(all_true(body["messages"][-1]["content"], random.Random(0)))

    with ChatServer(scripted) as server:
        config = config_for(server, "evaluation.num_samples=30")
        [group] = evaluation_tasks(config, None)
        with EndpointPolicy(config, "served") as policy:
            [episodes] = play([group], policy, GREEDY, seed=0, chunk_size=30)
    literals = [episode.grade.success for episode in episodes if episode.grade]
    assert len(literals) == 30 and 0 < sum(literals) < 30

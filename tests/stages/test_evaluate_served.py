"""Evaluating served models: the real `transformers serve`, servers that fail, and no key in any file."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affine_trainer.artifacts import log_dir, read_manifest
from affine_trainer.cli import app
from affine_trainer.config import Config, load_config
from affine_trainer.errors import AffineError, StageError
from affine_trainer.policies.model_names import NANO
from affine_trainer.policies.scripted import all_true
from affine_trainer.records import Episode
from affine_trainer.report.episodes import read_episodes
from affine_trainer.stages.compare import compare
from affine_trainer.stages.evaluate import evaluate, temperature_of
from tests.policies.chat_server import ChatServer, Reply, completion, forwarded, once_there_are

STARTS_WITHIN = 180.0  # seconds, on a busy machine
SAT_ONLY = (
    "data.affine.environments=[sat]",
    "data.agentgym.environments=[]",
    "endpoint.backoff=0.001",
    "endpoint.longest_pause=0.05",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def transformers_serve() -> Iterator[str]:
    """The address at which `transformers serve` serves the embedded model."""
    if not all(map(importlib.util.find_spec, ("fastapi", "uvicorn", "openai"))):
        pytest.skip("needs transformers[serving] (the extra `dev`)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", program, "serve", str(NANO), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--device", "cpu", "--dtype", "float32", "--log-level", "error"],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.1)


def played(folder: Path) -> list[Episode]:
    """The episodes, without what the clock, the policy's name and the way of counting decide."""
    return [
        dataclasses.replace(episode, seconds=0.0, policy="", num_prompt_tokens=0)
        for episode in read_episodes(folder / "episodes.jsonl")
    ]


def test_a_served_model_gives_the_episodes_that_it_gives_in_this_process(transformers_serve: str) -> None:
    settings = (
        "data.affine.environments=[sat, abd]",
        "data.agentgym.environments=[textcraft]",
        "evaluation.num_samples=4",
        "evaluation.agent_samples=2",
        "evaluation.max_rounds=3",
        "evaluation.unseen_family_samples=0",
        "model.max_new_tokens=48",
    )
    served = (f"endpoint.url={transformers_serve}", f"endpoint.model={NANO}")
    base = evaluate(load_config(None, settings), "base")
    folder = evaluate(load_config(None, [*settings, *served]))
    assert played(folder) == played(base)
    summary, here = (json.loads((path / "evaluation.json").read_text()) for path in (folder, base))
    assert summary["errors"] == 0
    assert summary["success"] == here["success"]
    assert set(summary["per_environment"]["affine:sat"]["trivial_policies"]) == {"all-true", "random"}
    assert summary["usage"]["completion_tokens"] == here["usage"]["completion_tokens"] > 0
    for env, tokens in here["per_environment"].items():
        counted = summary["per_environment"][env]["tokens_per_task"]["prompt"]
        assert counted == tokens["tokens_per_task"]["prompt"] or env.startswith("agentgym:")


def test_a_hundred_requests_at_once_lose_nothing_where_every_tenth_connection_drops(
    transformers_serve: str,
) -> None:
    tasks = ("evaluation.num_samples=100", "evaluation.batch_size=100", "model.max_new_tokens=6")
    settings = (*SAT_ONLY, *tasks)
    base = evaluate(load_config(None, settings), "base")

    def drops(number: int, body: dict) -> str | None:
        return ("dropped" if number % 20 else "cut") if number % 10 == 0 else None

    with ChatServer(forwarded(transformers_serve), once_there_are(100, drops)) as proxy:
        served = (f"endpoint.url={proxy.url}", f"endpoint.model={NANO}", "endpoint.concurrency=100")
        folder = evaluate(load_config(None, [*settings, *served]))
    assert played(folder) == played(base)
    assert len(proxy.bodies) >= 110
    assert proxy.most == 100


def all_true_server(body: dict) -> Reply:
    return completion(all_true(body["messages"][-1]["content"], random.Random(0)))


def scripted(server: ChatServer, *overrides: str) -> Config:
    served = (f"endpoint.url={server.url}", "endpoint.model=all-true")
    return load_config(None, [*SAT_ONLY, *served, "evaluation.num_samples=24", *overrides])


def test_an_evaluation_that_lost_its_server_goes_on_and_ends_as_an_undisturbed_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AFFINE_ENDPOINT_KEY", "sk-very-secret")
    settings = ("evaluation.batch_size=4", "endpoint.retries=0", "endpoint.max_failures=3")
    with ChatServer(all_true_server) as server:
        calm = played(evaluate(scripted(server, *settings)))
        assert len(server.bodies) == 24
        path = log_dir(scripted(server), "eval", f"all-true-at-127.0.0.1-{server.port}")
        port = server.port
    down = Reply(503, {"error": "the key sk-very-secret came too late"})
    with ChatServer(all_true_server, lambda number, body: down if number >= 10 else None, port) as server:
        with pytest.raises(StageError, match=r"3 requests in a row"):
            evaluate(scripted(server, *settings), force=True)
        failed = [play.error for play in read_episodes(path / "episodes.jsonl") if play.grade is None]
        assert len(failed) == 2  # of the third chunk, which is played again
    with ChatServer(all_true_server, port=port) as server:
        again = evaluate(scripted(server, *settings, "endpoint.concurrency=2"))
        assert again == path
        assert len(server.bodies) == 16
        assert played(again) == calm
        evaluate(scripted(server, *settings, "endpoint.timeout=5.0"))
        assert len(server.bodies) == 16, "how a server is asked is no part of the result"
    assert all("sk-very-secret" not in file.read_text() for file in Path().rglob("*") if file.is_file())
    manifest = read_manifest(path)
    assert manifest is not None
    assert manifest.depends_on["config"]["endpoint.model"] == "all-true"
    assert manifest.depends_on["config"]["endpoint.url"] == f"http://127.0.0.1:{port}/v1"
    assert "model.name" not in manifest.depends_on["config"]


def test_failed_requests_are_errors_beside_the_results() -> None:
    def fails(number: int, body: dict) -> Reply | None:
        return Reply(400, {"error": "too long"}) if number % 4 == 0 else None

    with ChatServer(all_true_server, fails) as server:
        folder = evaluate(scripted(server, "endpoint.concurrency=1"))
    result = json.loads((folder / "evaluation.json").read_text())["per_environment"]["affine:sat"]
    assert (result["num_samples"], result["errors"]) == (18, 6)
    assert result["accuracy"] == result["num_successes"] / 18
    plays = read_episodes(folder / "episodes.jsonl")
    assert sum(play.error is not None and "too long" in play.error for play in plays) == 6


def random_server(body: dict) -> Reply:
    """Assigns at random, by the seed of the request, as a sampling server does."""
    draw = random.Random(body["seed"])
    text = all_true(body["messages"][-1]["content"], draw)
    return completion(
        ", ".join(part.replace("True", draw.choice(["True", "False"])) for part in text.split(", "))
    )


def test_samples_of_a_task_are_independent_and_give_pass_at_k() -> None:
    samples = ("evaluation.samples_per_task=4", "evaluation.temperature=0.7")
    with ChatServer(random_server) as server:
        folder = evaluate(scripted(server, *samples, "evaluation.batch_size=10"))
        assert {body["temperature"] for body in server.bodies} == {0.7}
    plays = read_episodes(folder / "episodes.jsonl")
    assert len(plays) == 96
    assert [play.sample for play in plays] == [0, 1, 2, 3] * 24
    assert len({(play.task_key, play.turns[0].reply) for play in plays}) > 80
    result = json.loads((folder / "evaluation.json").read_text())["per_environment"]["affine:sat"]
    assert (result["num_samples"], result["num_tasks"]) == (96, 24)
    rates = [entry["rate"] for entry in result["pass_at_k"]]
    solved = {play.task_key for play in plays if play.grade and play.grade.success}
    assert rates[0] == pytest.approx(result["accuracy"])
    assert rates[3] == pytest.approx(len(solved) / 24)
    assert rates == sorted(rates)
    with ChatServer(random_server) as other, pytest.raises(Exception, match=r"4 samples a task.* with 1: "):
        single = evaluate(scripted(other, "evaluation.temperature=0.7"))
        compare(load_config(None), str(folder), [str(single)])


def test_two_evaluations_with_as_many_samples_are_compared_by_task() -> None:
    samples = ("evaluation.samples_per_task=3", "evaluation.temperature=0.7")
    folders = []
    for answer in (random_server, all_true_server):
        with ChatServer(answer) as server:
            folders.append(str(evaluate(scripted(server, *samples))))
    path = compare(load_config(None), folders[0], [folders[1]])
    [result] = json.loads((path / "comparison.json").read_text())["baselines"].values()
    entry = result["per_environment"]["affine:sat"]
    accuracies = [json.loads((Path(folder) / "evaluation.json").read_text()) for folder in folders]
    mine, theirs = (summary["per_environment"]["affine:sat"]["accuracy"] for summary in accuracies)
    assert (entry["num_tasks"], result["num_tasks"]) == (24, 24)
    assert entry["difference"] == pytest.approx(mine - theirs)
    assert entry["both"] + entry["only_candidate"] + entry["only_baseline"] + entry["neither"] == 24


def test_the_temperature_is_that_of_the_rules_unless_given() -> None:
    assert temperature_of(load_config(None)) == 0.0
    assert temperature_of(load_config(None, ["evaluation.rules=affine-2025-10"])) == 0.7
    given = ["evaluation.rules=affine-2025-10", "evaluation.temperature=0.0"]
    assert temperature_of(load_config(None, given)) == 0.0


def test_several_samples_at_temperature_zero_are_refused() -> None:
    with pytest.raises(AffineError, match=r"4 times the same reply: set evaluation.temperature"):
        evaluate(load_config(None, ["evaluation.samples_per_task=4"]), "base")


def test_the_command_takes_an_endpoint_or_a_model_of_its_own() -> None:
    def run(*arguments: str) -> tuple[int, str]:
        settings = [part for text in (*SAT_ONLY, "evaluation.num_samples=5") for part in ("--set", text)]
        done = CliRunner().invoke(app, ["eval", *arguments, *settings])
        return done.exit_code, " ".join(done.output.split())

    with ChatServer(all_true_server) as server:
        code, text = run("--endpoint", server.url, "--served-model", "123")
        assert code == 0, text
        assert "eval: usage 35 prompt, 15 completion tokens" in text
        assert f"next: affine compare 123-at-127.0.0.1-{server.port} base" in text
        assert {body["model"] for body in server.bodies} == {"123"}
        code, text = run("--endpoint", server.url, "--served-model", "x", "--model", "base")
        assert code == 2 and "leave one of them out" in text
    code, text = run("--endpoint", "http://localhost:1")
    assert code == 2 and "endpoint: url needs model as well" in text
    code, text = run("--endpoint", "http://127.0.0.1:1", "--served-model", "x")
    assert code == 2 and "no server answers at http://127.0.0.1:1/v1" in text

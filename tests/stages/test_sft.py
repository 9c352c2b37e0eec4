"""Fine-tuning a tiny model: what is learned, what is refused, and a kill that leaves no trace."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from affine_trainer.artifacts import data_dir, read_manifest, stage_folder, write_jsonl
from affine_trainer.config import Config, load_config
from affine_trainer.errors import AffineError, ConfigError, DataError, StageError
from affine_trainer.learning.trl_sft import build_trainer, num_steps
from affine_trainer.policies.hf import encode_completion, encode_prompt, load_model, load_policy
from affine_trainer.records import Conversation, Message, Sampling
from affine_trainer.stages.sft import encode_row, sft, summarise
from tests.tiny_model import save_tiny_model, tiny_model, tiny_tokenizer

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "model.name=base",
    "training.use_lora=true",
    "training.num_epochs=3",
    "training.batch_size=4",
    "training.eval_steps=10",
    "training.logging_steps=4",
    "training.warmup_steps=5",
    "training.learning_rate=1e-2",
    "training.lora_dropout=0.1",
    "training.gradient_accumulation_steps=2",
)
TIMINGS = ("seconds", "tokens_per_second")


def row(question: str, answer: str) -> dict:
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def collected(config: Config, train: list[dict], validation: list[dict]) -> None:
    """What `collect` leaves behind, as far as `sft` reads it."""
    data = data_dir(config)
    with stage_folder("collect", data, config, reads=("seed",), inputs={}) as folder:
        write_jsonl(data / "train.jsonl", train)
        write_jsonl(data / "validation.jsonl", validation)
        folder.finish({})


def work_in(folder: Path, *overrides: str) -> Config:
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    save_tiny_model(Path("base"))
    config = load_config(None, [*SETTINGS, *overrides])
    rows = [row(f"say {n % 7} " + "x" * (n % 13), "yes") for n in range(112)]
    collected(config, rows[:96], rows[96:])
    return config


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return work_in(tmp_path)


def metrics_of(folder: Path) -> dict:
    manifest = read_manifest(folder)
    assert manifest is not None
    return {name: value for name, value in manifest.metrics.items() if name not in TIMINGS}


def events() -> list[dict]:
    lines = Path("logs/default/sft/events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_adapter_learns_the_data_and_loads_on_the_untouched_base(config):
    path = sft(config)
    metrics = metrics_of(path)
    assert metrics["steps"] == 36
    assert metrics["eval_loss"] < 1.0 < events()[0]["sft/train_loss"]
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["eval_loss"]))
    adapter = json.loads((path / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "base"
    assert (path / "tokenizer.json").is_file()
    policy = load_policy(str(path), config, "sft")
    (reply,) = policy.reply([Conversation([Message("user", "say 2 xx")])], Sampling(0.0, 1.0, 12, 0))
    assert (reply.text, reply.stop) == ("yes", "stop")


def test_the_evaluation_loss_is_the_mean_over_scored_tokens(config):
    path = sft(config)
    model, tokenizer = load_model(str(path), config), tiny_tokenizer()
    nll, scored = 0.0, 0
    for line in (data_dir(config) / "validation.jsonl").read_text().splitlines():
        example = encode_row(json.loads(line), "here", tokenizer, config.model)
        ids, labels = torch.tensor([example["input_ids"]]), torch.tensor([example["labels"]])
        with torch.no_grad():
            logprobs = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        wanted = labels[0, 1:] >= 0
        nll -= float(logprobs[wanted].gather(1, labels[0, 1:][wanted, None]).sum())
        scored += int(wanted.sum())
    assert metrics_of(path)["eval_loss"] == pytest.approx(nll / scored, abs=1e-5)


@pytest.mark.parametrize(
    ("use_lora", "weights"), [("true", "adapter_model.safetensors"), ("false", "model.safetensors")]
)
def test_a_killed_run_ends_with_the_metrics_and_weights_of_an_undisturbed_one(
    tmp_path, monkeypatch, use_lora, weights
):
    settings = [*SETTINGS, f"training.use_lora={use_lora}"]
    monkeypatch.chdir(tmp_path)
    undisturbed = sft(work_in(tmp_path / "undisturbed", settings[-1])).resolve()
    history = [{k: v for k, v in event.items() if k not in ("time", "sft/seconds")} for event in events()]
    killed = tmp_path / "killed"
    killed_config = work_in(killed, settings[-1])
    program = (
        "from affine_trainer.config import load_config; from affine_trainer.stages.sft import sft; "
        f"sft(load_config(None, {settings!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=killed, env=environment)
    wait_until_there(killed / "models/default/sft_checkpoints/checkpoint-20/trainer_state.json", process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert read_manifest(killed / "models/default/sft_final") is None
    resumed = sft(killed_config)
    assert metrics_of(resumed) == metrics_of(undisturbed)
    assert (resumed / weights).read_bytes() == (undisturbed / weights).read_bytes()
    assert [{k: v for k, v in e.items() if k not in ("time", "sft/seconds")} for e in events()] == history


def wait_until_there(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)


def test_without_lora_the_whole_model_is_trained_and_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = work_in(tmp_path, "training.use_lora=false")
    path = sft(config)
    assert (path / "model.safetensors").is_file() and not (path / "adapter_config.json").exists()
    before, after = load_model("base", config), load_model(str(path), config)
    changed = [not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert all(changed)


def test_nothing_that_is_handed_on_names_a_folder_of_this_machine(config, tmp_path):
    path = sft(config)
    texts = [file for file in path.iterdir() if file.suffix in (".json", ".jinja", ".md", ".txt")]
    assert texts
    assert not [file.name for file in texts if str(tmp_path) in file.read_text()]


def test_a_finished_step_is_skipped_and_other_settings_are_refused_by_name(config):
    path = sft(config)
    written = (path / "manifest.json").read_bytes()
    assert sft(config) == path
    assert (path / "manifest.json").read_bytes() == written
    other = load_config(None, [*SETTINGS, "training.learning_rate=1e-3"])
    with pytest.raises(StageError, match=r"training\.learning_rate"):
        sft(other)


def test_forcing_starts_from_nothing(config):
    first = metrics_of(sft(config))
    other = load_config(None, [*SETTINGS, "training.num_epochs=1"])
    again = metrics_of(sft(other, force=True))
    assert (first["steps"], again["steps"]) == (36, 12)
    assert events()[-1]["step"] == 12


def test_fine_tuning_before_collecting_names_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="affine collect"):
        sft(load_config(None))


def test_the_prompt_is_masked_and_the_stop_token_is_trained():
    tokenizer, config = tiny_tokenizer(), Config()
    example = encode_row(row("hello", "yes"), "here", tokenizer, config.model)
    prompt = encode_prompt(tokenizer, [Message("user", "hello")])
    completion = encode_completion(tokenizer, "yes")
    assert example["input_ids"] == prompt + completion
    assert example["labels"] == [-100] * len(prompt) + completion
    assert completion[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (
            row("x" * 900, "y"),
            r"train\.jsonl, line 3: the prompt has \d+ tokens.*model\.max_prompt_tokens = 768",
        ),
        (row("x", "y" * 200), r"line 3: the completion has 201 tokens.*model\.max_new_tokens = 160"),
        ({"prompt": [{"role": "user", "content": "x"}]}, r"line 3: the row lacks completion"),
        ({"prompt": "x", "completion": "y"}, r"line 3: prompt should be a list of messages"),
        (row("x", " "), r"line 3: completion holds a message without text"),
        ({**row("x", "y"), "prompt": []}, r"line 3: prompt should hold at least one message"),
    ],
)
def test_a_row_that_cannot_be_learned_from_is_refused_by_its_line(tmp_path, monkeypatch, bad, words):
    monkeypatch.chdir(tmp_path)
    save_tiny_model(Path("base"))
    config = load_config(None, SETTINGS)
    collected(config, [row("a", "b"), row("c", "d"), bad], [row("e", "f")])
    with pytest.raises(DataError, match=words):
        sft(config)


def trainer_on(examples: list[dict], folder: Path, *overrides: str):
    return build_trainer(
        tiny_model(),
        tiny_tokenizer(),
        load_config(None, [*SETTINGS, *overrides]).training,
        train=examples,
        validation=examples,
        checkpoints=folder,
        seed=0,
        on_cpu=not torch.cuda.is_available(),
        log=None,
        advance=lambda: None,
    )


def test_a_batch_without_a_token_to_learn_from_stops_the_run(tmp_path):
    masked = [{"input_ids": [5, 6, 7], "labels": [-100, -100, -100]}] * 8
    with pytest.raises(StageError, match="every label is masked"):
        trainer_on(masked, tmp_path).train()


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path):
    trainer = trainer_on([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}] * 8, tmp_path)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(math.nan)
    with pytest.raises(AffineError, match=r"diverged at step 3.*training\.learning_rate"):
        trainer.train()


@pytest.mark.parametrize(("batch", "accumulation"), [(4, 1), (3, 2), (5, 3)])
def test_the_number_of_steps_is_known_before_the_run(tmp_path, batch, accumulation):
    settings = (f"training.batch_size={batch}", f"training.gradient_accumulation_steps={accumulation}")
    examples = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}] * 14
    trainer = trainer_on(examples, tmp_path, *settings)
    trainer.train()
    assert trainer.state.global_step == num_steps(load_config(None, [*SETTINGS, *settings]).training, 14)


@pytest.mark.parametrize(("schedule", "middle"), [("cosine", 0.55), ("linear", 0.55), ("constant", 1.0)])
def test_the_learning_rate_warms_up_and_ends_at_its_floor(tmp_path, schedule, middle):
    settings = (
        f"training.lr_schedule={schedule}",
        "training.min_lr_ratio=0.1",
        "training.warmup_steps=10",
        "training.learning_rate=1e-2",
    )
    trainer = trainer_on([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}] * 8, tmp_path, *settings)
    trainer.create_optimizer_and_scheduler(110)
    rates = []
    for _ in range(110):
        rates.append(trainer.optimizer.param_groups[0]["lr"] / 1e-2)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert rates[0] == 0.0 and rates[5] == pytest.approx(0.5) and rates[10] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(middle, abs=0.01)
    assert rates[-1] == pytest.approx(1.0 if schedule == "constant" else 0.1, abs=0.02)


def test_bf16_on_a_machine_without_it_is_refused(config, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("a GPU of today computes in bfloat16")
    monkeypatch.setattr("affine_trainer.device._cpu_capabilities", dict)
    with pytest.raises(ConfigError, match=r"training\.bf16"):
        sft(load_config(None, [*SETTINGS, "training.bf16=true"]))


def test_the_summary_says_when_the_loss_was_still_falling():
    def history(*losses: float) -> list[dict]:
        windows = [{"loss": 1.0, "step": n, "seconds": 1.0} for n in range(1, len(losses) + 1)]
        checks = [
            {"eval_loss": loss, "eval_perplexity": 1.0, "eval_runtime": 0.1, "step": n, "seconds": 1.0}
            for n, loss in enumerate(losses, start=1)
        ]
        return windows + checks

    train = [{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}]
    assert summarise(history(3.0, 2.0, 1.0), train, 1)["still_falling"]
    assert not summarise(history(3.0, 2.0, 1.999), train, 1)["still_falling"]
    assert not summarise(history(3.0, 1.0, 2.0), train, 1)["still_falling"]
    assert summarise(history(3.0, 1.0, 2.0), train, 1)["best_step"] == 2

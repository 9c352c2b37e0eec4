"""`affine audit`: a leak put there on purpose is found, near-duplicates are counted, and all else passes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affine_trainer.artifacts import (
    read_jsonl,
    read_live,
    read_manifest,
    stage_folder,
    write_json,
    write_jsonl,
)
from affine_trainer.cli import app
from affine_trainer.config import load_config
from affine_trainer.envs import task_set
from affine_trainer.envs.sat import FAMILIES, write_formula
from affine_trainer.envs.stage_tasks import evaluation_tasks
from affine_trainer.errors import DataError
from affine_trainer.records import Episode, Grade, Task, Turn
from affine_trainer.report.episodes import episode_row
from affine_trainer.stages.audit import audit

CONFIG = load_config(
    None,
    [
        "evaluation.num_samples=40",
        "evaluation.agent_samples=10",
        "evaluation.unseen_family_samples=5",
        "data.agentgym.environments=[webshop, babyai]",
        "rl_training.weights={}",
    ],
)
PROGRAM = "n = int(input())\ntotal = 0\nfor i in range(n):\n    total += i * i\nprint(total)"
RENAMED = "k = int(input())\ns = 0\nfor j in range(k):\n    s += j * j\nprint(s)"
UNRELATED = "print(''.join(sorted(input())))"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tasks_of(env: str, split, count: int, family: str | None = None) -> list[Task]:
    families = {"affine:sat": "small", "affine:abd": "generated-v1", "affine:ded": "generated-v1"}
    tasks = task_set(env, family or families.get(env, "embedded"), config=CONFIG, sandbox=None)
    return tasks.tasks(tasks.indices(split, count, 0))


def evaluated(env: str) -> list[Task]:
    return [task for group in evaluation_tasks(CONFIG, None) for task in group.tasks if task.env == env]


def row_of(task: Task, reply: str = "x1=True") -> dict:
    """A line of train.jsonl."""
    return {
        "prompt": [asdict(message) for message in task.prompt],
        "completion": [{"role": "assistant", "content": reply}],
        "environment": task.env,
        "family": task.family,
        "task_key": task.key,
        "content_sha256": task.content_sha256,
    }


def write_data(train, validation=(), lists=None, run="default") -> Path:
    folder = Path("data", run)
    write_jsonl(folder / "train.jsonl", train)
    if validation:
        write_jsonl(folder / "validation.jsonl", validation)
    write_json(folder / "tasks.json", lists or {"rl": {}, "validation": {}, "evaluation": {}})
    return folder


def report_of(*what: str) -> dict:
    folder, leaks = audit(CONFIG, what)
    report = json.loads((folder / "audit.json").read_text())
    assert report["leaks"] == leaks
    return report


def findings(report: dict, kind: str) -> list[dict]:
    return [entry for entry in report["findings"] if entry["kind"] == kind]


def foreign(*rows: dict) -> str:
    write_jsonl(Path("foreign.jsonl"), rows)
    return "foreign.jsonl"


def test_data_of_splits_that_are_apart_leaks_nothing(capsys):
    sat = tasks_of("affine:sat", "train", 30)
    write_data(
        [row_of(task) for task in sat],
        [row_of(task) for task in tasks_of("affine:sat", "validation", 10)],
        {"rl": {"affine:sat@small": [sat[0].index]}, "validation": {}, "evaluation": {}},
    )
    report = report_of()
    assert report["leaks"] == 0
    assert findings(report, "same key") == [], "RL may play what SFT was trained on"
    assert report["verdict"].startswith("no leak: none of ")
    places = {entry["place"]: sum(entry["problems"].values()) for entry in report["places"]}
    assert places == {
        "data/default/train.jsonl": 30,
        "data/default/validation.jsonl": 10,
        "data/default/tasks.json (rl)": 1,
        "evaluation tasks": 150,
    }
    assert read_manifest(Path("logs/default/audit")) is not None
    assert report["verdict"] in capsys.readouterr().out.replace("\n", " ")
    assert report["verdict"] in Path("logs/default/audit/audit.md").read_text()


def test_the_bar_knows_how_many_places_there_are_and_ends_at_all_of_them():
    lists = {"rl": {"affine:sat@small": [0, 1]}, "validation": {}, "evaluation": {}}
    write_data([row_of(task) for task in tasks_of("affine:sat", "train", 3)], lists=lists)
    report_of()
    live = read_live(Path("logs/default/audit"))
    assert live is not None
    bar = next(bar for bar in live.bars if bar.description == "audit")
    assert (bar.done, bar.total, bar.unit) == (4, 4, "places"), "a file, two lists, the evaluation tasks"
    assert "problems read" in bar.note


def test_an_evaluation_task_put_into_the_training_data_is_a_leak_and_the_command_fails():
    leaked = evaluated("affine:sat")[3]
    write_data([*map(row_of, tasks_of("affine:sat", "train", 5)), row_of(leaked)])
    settings = [f"--set=evaluation.num_samples={n}" for n in (40,)]
    settings += ["--set=evaluation.agent_samples=10", "--set=data.agentgym.environments=[webshop, babyai]"]
    settings += ["--set=rl_training.weights={}"]
    done = CliRunner().invoke(app, ["audit", *settings])
    assert done.exit_code == 1, done.output
    [found] = findings(json.loads(Path("logs/default/audit/audit.json").read_text()), "same key")
    assert (found["count"], found["of"], found["exact"]) == (1, 40, True)
    assert found["examples"] == [
        {
            "seen": {"place": "data/default/train.jsonl", "where": "line 6", "key": leaked.key},
            "held": {"place": "evaluation tasks", "where": "", "key": leaked.key},
        }
    ]
    assert "LEAK: 1 of" in done.output


def test_a_validation_task_among_those_that_rl_plays_is_a_leak():
    validation = tasks_of("affine:ded", "validation", 4)
    lists = {"rl": {"affine:ded@generated-v1": [validation[2].index]}, "validation": {}, "evaluation": {}}
    write_data(map(row_of, tasks_of("affine:sat", "train", 3)), [*map(row_of, validation)], lists)
    [found] = findings(report_of(), "same key")
    assert (found["seen"], found["held"], found["count"]) == (
        "data/default/tasks.json (rl)",
        "data/default/validation.jsonl",
        1,
    )


def test_the_same_problem_under_another_key_is_found_by_its_content():
    leaked = evaluated("affine:abd")[0]
    row = row_of(leaked) | {"task_key": "affine:abd@elsewhere/5"}
    write_data([row])
    [found] = findings(report_of(), "same content")
    assert found["examples"][0]["seen"]["key"] == "affine:abd@elsewhere/5"


@pytest.mark.parametrize("shape", ["prompt/response", "messages", "conversations", "prompt/completion"])
def test_an_evaluation_task_is_found_in_files_of_others_whatever_their_shape(shape):
    """Without key, hash and environment: by what the prompt asks, in any order of clauses."""
    task = evaluated("affine:sat")[0]
    clauses = reversed(FAMILIES["small"](task.index).clauses)
    formula = " & ".join(
        "(" + " | ".join(f"{'' if x > 0 else '~'}x{abs(x)}" for x in c) + ")" for c in clauses
    )
    asked, reply = f"Please satisfy {formula}. Thank you!", "x1=True, x2=False"
    row = {
        "prompt/response": {"prompt": asked, "response": reply},
        "messages": {
            "messages": [
                {"role": "system", "content": "You are a solver."},
                {"role": "user", "content": asked},
                {"role": "assistant", "content": reply},
            ]
        },
        "conversations": {
            "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": reply}]
        },
        "prompt/completion": {"prompt": [{"role": "user", "content": asked}], "completion": reply},
    }[shape]
    report = report_of(foreign(row))
    [found] = findings(report, "same text")
    assert (report["leaks"], found["environment"]) == (1, "affine:sat")
    assert found["examples"][0]["held"]["key"] == task.key


def test_abd_and_ded_tasks_are_found_in_wording_of_others():
    abd, ded = evaluated("affine:abd")[0], evaluated("affine:ded")[0]
    program, output = abd.prompt[0].content.split("```python\n")[1].split("\n```\nOutput:\n```\n")
    shown = (
        f"Program:\n```python\n{program}\n```\nExpected output:\n```\n{output.split(chr(10) + '```')[0]}\n```"
    )
    statement = ded.prompt[0].content.split("\n\n---\n")[0]
    name = foreign(
        {
            "environment": "abd",
            "prompt": f"{shown}\nAnswer in <INPUT></INPUT>.",
            "response": "<INPUT>1</INPUT>",
        },
        {
            "environment": "ded",
            "prompt": f"Solve this task. {statement} Use Python.",
            "response": "```python\n1\n```",
        },
    )
    found = {entry["environment"]: entry for entry in findings(report_of(name), "same text")}
    assert set(found) == {"affine:abd", "affine:ded"}
    assert found["affine:ded"]["examples"][0]["held"]["key"] == ded.key


def test_interactive_tasks_are_found_by_their_first_observation():
    task = evaluated("agentgym:webshop")[0]
    tasks = task_set("agentgym:webshop", "embedded", config=CONFIG, sandbox=None)
    seen = tasks.start(task).observe()
    play = {
        "item_id": "webshop_7",
        "conversations": [
            {"from": "human", "value": "You are shopping."},
            {"from": "gpt", "value": "OK. I'll do so."},
            {"from": "human", "value": seen},
            {"from": "gpt", "value": "Action: search[chair]"},
        ],
    }
    Path("plays.json").write_text(json.dumps([play]))
    report = report_of("plays.json")
    [found] = findings(report, "same first observation")
    assert found["examples"][0]["held"]["key"] == task.key
    assert report["leaks"] == 0, "what a first look does not show may differ"
    [public] = report["public_ids"]
    assert public["examples"][0]["public_id"] == "agentgym:webshop@server/7"


def abd_row(program: str, key: str | None = None, output: str = "5") -> dict:
    prompt = f"Find stdin.\n```python\n{program}\n```\nOutput:\n```\n{output}\n```\nUse <INPUT>."
    keyed = {"task_key": key, "content_sha256": key} if key else {}
    return {"environment": "abd", "prompt": prompt, "response": "<INPUT>\n3\n</INPUT>", **keyed}


def test_a_program_with_renamed_variables_is_a_near_duplicate_and_an_unrelated_one_is_not():
    write_data(
        [abd_row(RENAMED, "affine:abd@mine/1"), abd_row(UNRELATED, "affine:abd@mine/2")],
        [abd_row(PROGRAM, "affine:abd@mine/3")],
    )
    report = report_of()
    [found] = [entry for entry in report["findings"] if entry["held"] == "data/default/validation.jsonl"]
    assert (found["kind"], found["count"], found["share"]) == ("program up to names", 1, 1.0)
    ends = found["examples"][0]
    assert (ends["seen"]["key"], ends["held"]["key"]) == ("affine:abd@mine/1", "affine:abd@mine/3")
    assert report["leaks"] == 0, "a near-duplicate is a warning"

    write_data([abd_row(UNRELATED, "affine:abd@mine/2")], [abd_row(PROGRAM, "affine:abd@mine/3")])
    assert [
        entry for entry in report_of()["findings"] if entry["held"] == "data/default/validation.jsonl"
    ] == []


def test_a_formula_with_renamed_variables_and_flipped_signs_is_a_near_duplicate():
    task = evaluated("affine:sat")[0]
    formula = FAMILIES["small"](task.index)
    n = formula.num_variables
    to = {v: (n + 1 - v) * (-1 if v % 2 else 1) for v in range(1, n + 1)}
    moved = [[to[abs(x)] * (1 if x > 0 else -1) for x in clause] for clause in formula.clauses]
    text = " ∧ ".join("(" + " ∨ ".join(f"{'¬' * (x < 0)}x{abs(x)}" for x in clause) + ")" for clause in moved)
    report = report_of(foreign({"prompt": text, "response": "x1=True"}))
    [found] = findings(report, "formula up to renaming and signs")
    assert found["examples"][0]["held"]["key"] == task.key
    assert report["leaks"] == 0


def test_a_reworded_statement_is_a_similar_one():
    statement = (
        "Read n and then n integers. Print the largest sum of two neighbours among all of them, or zero."
    )

    def row(text: str, index: int) -> dict:
        key = f"affine:ded@mine/{index}"
        reply = f"```python\nprint({'+'.join('1' * (index + 1))})\n```"
        return {
            "environment": "ded",
            "prompt": text,
            "response": reply,
            "task_key": key,
            "content_sha256": key,
        }

    write_data([row(statement, 1)], [row(statement.replace("or zero", "or nought"), 2), row("Print 7.", 3)])
    [found] = findings(report_of(), "similar statement")
    assert (found["count"], found["of"]) == (1, 2)
    assert 0.8 <= found["examples"][0]["similarity"] < 1


def test_public_validator_tasks_are_tagged_by_key_and_sat_by_its_formula_too():
    by_key = {
        "task_key": "affine:ded@rl-python/239",
        "prompt": "Do it.",
        "response": "```python\nprint()\n```",
    }
    beyond = by_key | {"task_key": "affine:ded@rl-python/240", "prompt": "Do that."}
    by_formula = {"prompt": write_formula(FAMILIES["validator"](499)), "response": "x1=True"}
    other = {"prompt": write_formula(FAMILIES["validator"](500)), "response": "x1=True"}
    report = report_of(foreign(by_key, beyond, by_formula, other))
    tagged = {entry["environment"]: entry for entry in report["public_ids"]}
    assert {env: entry["count"] for env, entry in tagged.items()} == {"affine:ded": 1, "affine:sat": 1}
    assert tagged["affine:sat"]["examples"][0]["public_id"] == "affine:sat@validator/499"
    assert report["leaks"] == 0


def play_of(task: Task, content: str | None = None) -> dict:
    turn = Turn("", "x1=True", 1.0, 4)
    content = content or task.content_sha256
    episode = Episode(task.key, content, "m", [turn], Grade(1.0, True, ""), "terminated", None, 9, 4, 0.1)
    return episode_row(episode)


def test_an_evaluation_of_other_tasks_is_compared_with_the_data_as_well():
    trained, others = tasks_of("affine:sat", "train", 3), tasks_of("affine:sat", "evaluation", 400)[300:]
    write_data(map(row_of, trained))
    plays = [*evaluated("affine:sat")[:5], *others[:7], trained[1]]
    write_jsonl(Path("logs/default/eval/base/episodes.jsonl"), map(play_of, plays))
    report = report_of("default")
    [found] = findings(report, "same key")
    assert (found["held"], found["count"], found["of"]) == ("logs/default/eval/base/episodes.jsonl", 1, 8)
    assert "logs/default/eval/base: 5 of 13 plays are of the config's evaluation tasks" in report["notes"]
    assert report_of("logs/default/eval/base")["leaks"] == 0, "without the data there is nothing to leak"


def test_tasks_that_this_config_cannot_pose_are_compared_by_key_and_hash():
    task = evaluated("affine:sat")[0]
    write_data([{**row_of(task), "task_key": "affine:sat@gone/1", "content_sha256": "abc"}])
    write_jsonl(
        Path("logs/default/eval/base/episodes.jsonl"),
        [play_of(task) | {"task_key": "affine:sat@gone/2", "content_sha256": "abc"}],
    )
    report = report_of()
    by_content = findings(report, "same content")
    assert [entry["held"] for entry in by_content] == ["logs/default/eval/base/episodes.jsonl"]
    assert any("compared by task key alone" in note for note in report["notes"])


def test_the_report_is_made_anew_when_something_has_changed():
    write_data(map(row_of, tasks_of("affine:sat", "train", 3)))
    assert report_of()["leaks"] == 0
    write_data([row_of(evaluated("affine:sat")[0])])
    assert report_of()["leaks"] == 1


def test_a_run_that_is_named_is_audited_with_its_own_config_under_its_own_name():
    config = CONFIG.model_copy(update={"run": "t1"})
    with stage_folder("collect", Path("data/t1"), config, reads=("data",), inputs={}) as folder:
        write_jsonl(Path("data/t1/train.jsonl"), map(row_of, tasks_of("affine:sat", "train", 3)))
        folder.finish({})
    done = CliRunner().invoke(app, ["audit", "t1"])
    assert done.exit_code == 0, done.output
    report = json.loads(Path("logs/t1/audit/audit.json").read_text())
    places = {entry["place"]: sum(entry["problems"].values()) for entry in report["places"]}
    assert places["evaluation tasks"] == 150, "webshop and babyai alone, as the run has them"
    assert report["run"] == "t1" and not Path("logs/default").exists()


def test_what_is_not_there_or_not_readable_is_a_sentence_that_names_it():
    with pytest.raises(DataError, match="neither data/nothing, nor an evaluation"):
        audit(CONFIG, ["nothing"])
    with pytest.raises(DataError, match="neither data/default"):
        audit(CONFIG)
    with pytest.raises(DataError, match=r"^there is no file or folder /no/folder, and no run of that name$"):
        audit(CONFIG, ["/no/folder"])
    Path("hollow").mkdir()
    with pytest.raises(DataError, match=r"the folder hollow holds neither train.jsonl, validation.jsonl nor"):
        audit(CONFIG, ["hollow"])
    write_jsonl(Path("odd.jsonl"), [{"prompt": "a", "response": "b"}, {"question": "?"}])
    with pytest.raises(DataError, match=r"odd.jsonl, line 2: a row of unknown shape"):
        audit(CONFIG, ["odd.jsonl"])
    Path("torn.jsonl").write_text('{"prompt": "a", "response": "b"}\n\n{"prompt": ')
    with pytest.raises(DataError, match=r"torn.jsonl, line 3"):
        audit(CONFIG, ["torn.jsonl"])


def test_lines_are_counted_with_the_blank_ones():
    leaked = evaluated("affine:sat")[0]
    lines = [json.dumps({"prompt": "Hi", "response": "Ho"}), "", json.dumps(row_of(leaked))]
    Path("blank.jsonl").write_text("\n".join(lines))
    [found] = findings(report_of("blank.jsonl"), "same key")
    assert found["examples"][0]["seen"]["where"] == "line 3"
    assert len(list(read_jsonl(Path("blank.jsonl")))) == 2

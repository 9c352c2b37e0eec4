"""The shipped embedded model: its size, its tokenizer, its chat template, and the text it was built from."""

import json
import random
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

import affine_trainer
from affine_trainer.envs.programs.reference import run_reference
from affine_trainer.envs.splits import SPLIT_RANGES
from scripts.nano import plays
from scripts.nano.mixture import Mixture

NANO = Path(affine_trainer.__file__).parent / "nano"


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(NANO)


def as_dicts(messages):
    return [{"role": message.role, "content": message.content} for message in messages]


def test_the_shipped_weights_are_small_and_loadable():
    model = AutoModelForCausalLM.from_pretrained(NANO)
    assert sum(file.stat().st_size for file in NANO.iterdir()) <= 12 * 2**20
    assert 1e6 < model.num_parameters() < 6e6


def test_the_build_record_names_no_machine():
    record = json.loads((NANO / "build.json").read_text())
    assert record["seed"] == 0
    assert not any(str(value).startswith("/") for value in record.values())


@pytest.mark.parametrize("name", plays.NAMES)
def test_plays_survive_the_tokenizer_and_stay_short(tokenizer, name):
    for seed in range(3 if name == "sciworld" else 12):
        messages = plays.played(name, random.Random(seed))
        for message in messages:
            ids = tokenizer.encode(message.content, add_special_tokens=False)
            assert tokenizer.decode(ids) == message.content
        chat = tokenizer.apply_chat_template(as_dicts(messages), return_dict=False)
        assert len(chat) <= 1024


def test_the_chat_template_only_ever_appends(tokenizer):
    messages = as_dicts(plays.played("textcraft", random.Random(0)))
    whole = tokenizer.apply_chat_template(messages, return_dict=False)
    for end in range(1, len(messages)):
        prefix = tokenizer.apply_chat_template(messages[:end], return_dict=False)
        assert whole[: len(prefix)] == prefix


def pieces_of(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer.encode(text, add_special_tokens=False))


def test_digits_are_tokens_of_their_own(tokenizer):
    pieces = pieces_of(tokenizer, "12 plus 4096 is 4108, and (37) too")
    assert [piece for piece in pieces if any(map(str.isdigit, piece))] == list("124096410837")


def test_a_literal_is_one_token_wherever_it_stands(tokenizer):
    negated = pieces_of(tokenizer, "¬x12")
    assert len(negated) == 1
    for text in ("(x12 ∨ ¬x12 ∨ x3)", "x12=True", "x12=True, x3=False"):
        pieces = pieces_of(tokenizer, text)
        assert "x12" in pieces
        assert (negated[0] in pieces) == ("¬" in text)
        assert not any(piece.isdigit() for piece in pieces)


def test_a_word_of_data_is_spelled_and_the_words_of_a_statement_are_whole(tokenizer):
    text = "Read a word s. Print the letters backwards.\napple\nn!u-t"
    pieces = pieces_of(tokenizer, text)
    assert pieces[-12:] == ["Ċ", *"apple", "Ċ", *"n!u-t"]
    assert len(pieces) <= 24


def test_a_recipe_prints_what_it_says_and_is_no_familys_program():
    mixture = Mixture(0)
    rng = random.Random(0)
    recipes = [mixture.draw_recipe(rng) for _ in range(500)]
    assert all(run_reference(made.program, made.stdin) == made.stdout for made in recipes)
    assert not mixture.family_programs & {made.program for made in recipes}
    assert len({made.program for made in recipes}) > 400


def test_documents_are_a_function_of_seed_and_number_and_of_the_pretraining_split():
    first, second = Mixture(0), Mixture(0)
    assert [first.document(n) for n in range(40)] == [second.document(n) for n in reversed(range(40))][::-1]
    assert first.draw_task("affine:ded", random.Random(0)).index in SPLIT_RANGES["pretrain"]


def test_special_tokens_are_single_ids(tokenizer):
    for token in ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|pad|>"):
        assert len(tokenizer.encode(token, add_special_tokens=False)) == 1
    assert tokenizer.eos_token == "<|end|>"
    assert tokenizer.pad_token == "<|pad|>"

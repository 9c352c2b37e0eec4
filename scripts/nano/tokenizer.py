"""The embedded model's tokenizer: byte-level BPE in two stages, words first and then phrases across words.

Every digit stands alone, and so does every letter of a line that holds one word of data, so that arithmetic
and spelling can be learned; a literal of a formula (x3, ¬x12) is one token, so that a variable can be found
again. Words get their merges before any phrase does (as in SuperBPE, Liu et al. 2025):
with phrases first, most words of a statement were left in pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# A character of a data line such as `apple`, `n!u!t` or `3ae1`, which starts with a letter or digit.
DATA = r"[a-z\d!&~^/.;,|_#*+=?@$%\-]"
_REST = rf"(?={DATA}{{0,16}}(?:\n|$))"
_BEFORE = "|".join(rf"\n[a-z\d]{DATA}{{{count}}}" for count in range(16))
LETTERS = rf"(?<=\n)[a-z\d]{_REST}|(?<={_BEFORE}){DATA}{_REST}"
LITERAL = r"(?:¬|(?<![A-Za-z_¬]))x\d+"
MAX_VARIABLE = 20  # of the formulas that the environments pose
WORD_PIECES = rf"{LITERAL}|{LETTERS}|\d|\n *| ?[A-Za-z_]+| ?(?:(?!¬x\d)[^A-Za-z_\d\n ])+| +"
PHRASE_PIECES = rf"{LITERAL}|{LETTERS}|\d|\n *|(?:(?!{LITERAL})[^\d\n])+"
WORD_SHARE = 0.7  # of the vocabulary
MIN_FREQUENCY = 20
MAX_PHRASE_PIECES = 12
# What a server reads replies with (`transformers serve`): all that follows the last turn's opening.
RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|assistant|>",
    "fields": {"content": {"close": "<|end|>", "content": "text", "content_args": {"strip": False}}},
}
PRIVATE_USE = 0xE000  # characters that stand for the ids of the first stage while phrases are counted

Merges = Sequence[tuple[str, str]]


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Learn the merges from `texts` (message contents, without the chat markup)."""
    texts = list(texts)
    words = _word_stage(texts, int(WORD_SHARE * vocab_size))
    tokenizer = _with_phrases(words, texts, vocab_size)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        padding_side="left",
        model_max_length=2048,
        chat_template=CHAT_TEMPLATE,
        response_template=RESPONSE_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _word_stage(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    tokenizer = _byte_level(models.BPE(), WORD_PIECES)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=MIN_FREQUENCY,
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *_literals()], trainer)
    return tokenizer


def _literals() -> list[str]:
    """Every literal often enough to become a token."""
    return [f"{sign}x{v}" for sign in ("", "¬") for v in range(1, MAX_VARIABLE + 1)] * 50 * MIN_FREQUENCY


def _with_phrases(words: Tokenizer, texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """The tokenizer of the words' merges and, after them, those of phrases inside a line."""
    vocabulary: dict[str, int] = words.get_vocab()
    merges = [tuple(pair) for pair in json.loads(words.to_str())["model"]["merges"]]
    names = {chr(PRIVATE_USE + number): token for token, number in vocabulary.items()}
    for pair in _phrase_merges(words, texts, len(names) + vocab_size - len(vocabulary)):
        left, right = ("".join(names[character] for character in part) for part in pair)
        vocabulary.setdefault(left + right, len(vocabulary))
        merges.append((left, right))
    tokenizer = _byte_level(models.BPE(vocab=vocabulary, merges=merges), PHRASE_PIECES)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def _phrase_merges(words: Tokenizer, texts: Sequence[str], vocab_size: int) -> Merges:
    """Merges of the first stage's tokens, each written as one private-use character."""
    alphabet = [chr(PRIVATE_USE + number) for number in range(words.get_vocab_size())]
    phrases = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=alphabet,
        max_token_length=MAX_PHRASE_PIECES,
        min_frequency=MIN_FREQUENCY,
        show_progress=False,
    )
    phrases.train_from_iterator(_phrases(words, texts), trainer)
    return [tuple(pair) for pair in json.loads(phrases.to_str())["model"]["merges"]]


def _phrases(words: Tokenizer, texts: Sequence[str]) -> Iterator[str]:
    """Each piece of a line in which phrases may form, as the first stage's ids."""
    splitter = pre_tokenizers.Split(Regex(PHRASE_PIECES), "isolated")
    for text in texts:
        for piece, _ in splitter.pre_tokenize_str(text):
            if len(piece) > 1 and piece[0] != "\n":
                yield "".join(chr(PRIVATE_USE + number) for number in words.encode(piece).ids)


def _byte_level(model: models.BPE, pieces: str) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pieces), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja."""
    tokenizer.save_pretrained(folder)

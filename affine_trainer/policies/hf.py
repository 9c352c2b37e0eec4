"""A transformers causal language model as a policy: loading, the one prompt encoder, and batched replies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import huggingface_hub
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from affine_trainer.config import Config
from affine_trainer.device import training_device
from affine_trainer.errors import AffineError
from affine_trainer.hub import hub_http_error
from affine_trainer.policies.decoding import Decoded, decode
from affine_trainer.policies.kv_cache import ReadTokens
from affine_trainer.policies.model_names import is_adapter, model_path
from affine_trainer.policies.open_rows import Prompt
from affine_trainer.records import UNLIMITED, Completion, Conversation, Message, Sampling

# Weights below this size load in well under two seconds, and need no progress bar.
QUIET_BYTES = 500_000_000

# Stands for the assistant's text when the template's own text around an observation is looked up.
_PLACEHOLDER = "\N{SYMBOL FOR UNIT SEPARATOR}reply\N{SYMBOL FOR UNIT SEPARATOR}"


NO_ROOM = Completion("", (), (), "context")


class HFPolicy:
    """Answers with a model in this process; `model` may carry an active adapter and stays the caller's.

    Of one batch at most `max_rows` replies are sampled side by side.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        max_prompt_tokens: int,
        max_episode_tokens: int = UNLIMITED,
        max_rows: int | None = None,
        device: str | None = None,
    ) -> None:
        self.name = name
        self.model = cast(PreTrainedModel, torch.nn.Module.to(model, device)) if device else model
        self.tokenizer = tokenizer
        self.max_prompt_tokens = max_prompt_tokens
        self.max_episode_tokens = max_episode_tokens
        self.max_rows = max_rows
        self.stop_ids = stop_token_ids(model, tokenizer)

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of sampled ids, special tokens left out."""
        return decode_text(self.tokenizer, ids)

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        """Answer every conversation as one batch.

        Prompt, observation and sampled ids are appended to `token_ids`; `action_mask` and `logprobs` grow
        with them, one entry a token id, 0 on tokens that were not sampled. A reply that is begun goes on from
        its own tokens, within `max_new_tokens` of the whole reply. A later turn that would not leave room for
        a reply within `max_episode_tokens` is not answered: its completion has `stop` "context".
        """
        completions = [
            None if self._append_input(conversation, sampling.max_new_tokens) else NO_ROOM
            for conversation in conversations
        ]
        answered = [talk for talk, found in zip(conversations, completions, strict=True) if found is None]
        replies = iter(self._replies(answered, sampling) if answered else ())
        return [found or next(replies) for found in completions]

    def _replies(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        was_training = self.model.training
        self.model.eval()
        try:
            decoded = decode(
                self.model,
                [_prompt(conversation) for conversation in conversations],
                sampling,
                stop_ids=self.stop_ids,
                pad_id=pad_token_id(self.tokenizer),
                keep_read=any(conversation.goes_on for conversation in conversations),
                max_rows=self.max_rows,
            )
        finally:
            self.model.train(was_training)
        return [self._append_reply(*pair) for pair in zip(conversations, decoded, strict=True)]

    def _append_input(self, conversation: Conversation, reply_tokens: int) -> bool:
        """Append what is to be read next; False, and nothing appended, where a later turn has no room."""
        if conversation.begun:
            return True
        if not conversation.token_ids:
            new_ids = encode_prompt(self.tokenizer, conversation.messages)
        else:
            stopped = conversation.token_ids[-1] in self.stop_ids
            new_ids = encode_observation(self.tokenizer, conversation.messages[-1].content, stopped)
        total = len(conversation.token_ids) + len(new_ids)
        if conversation.token_ids and total + reply_tokens > self.max_episode_tokens:
            return False
        if not conversation.token_ids and total > self.max_prompt_tokens:
            where = f" of {conversation.task.key}" if conversation.task else ""
            raise AffineError(
                f"the prompt{where} has {total} tokens, more than model.max_prompt_tokens = "
                f"{self.max_prompt_tokens}; raise that key or take shorter tasks (no prompt is truncated)"
            )
        conversation.token_ids += new_ids
        conversation.action_mask += [0] * len(new_ids)
        conversation.logprobs += [0.0] * len(new_ids)
        return True

    def _append_reply(self, conversation: Conversation, decoded: Decoded) -> Completion:
        new, first = decoded.token_ids, len(conversation.token_ids) - conversation.begun
        conversation.token_ids += new
        conversation.action_mask += [1] * len(new)
        conversation.logprobs += decoded.logprobs
        conversation.cache, conversation.begun = decoded.read, 0
        ids, logprobs = conversation.token_ids[first:], conversation.logprobs[first:]
        text = decode_text(self.tokenizer, ids[:-1] if decoded.stopped else ids)
        conversation.messages.append(Message("assistant", text))
        return Completion(text, tuple(ids), tuple(logprobs), "stop" if decoded.stopped else "length")


def _prompt(conversation: Conversation) -> Prompt:
    read = conversation.cache
    return Prompt(conversation.token_ids, read if isinstance(read, ReadTokens) else None, conversation.begun)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """The token ids of `messages`, ending where the reply begins: the one encoder of all stages."""
    chat = _chat(tokenizer, messages)
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    return cast(list[int], ids)


def encode_completion(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The token ids of a reply as a model would sample them: its text, then the stop token."""
    if not isinstance(tokenizer.eos_token_id, int):
        raise AffineError(f"the tokenizer of {tokenizer.name_or_path} names no stop token (eos_token)")
    return [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]


def encode_observation(tokenizer: PreTrainedTokenizerBase, observation: str, stopped: bool) -> list[int]:
    """The token ids between one reply and the next: the template's text around a user message.

    The leading stop token is left out where the reply already ended with it (`stopped`).
    """
    chat = [Message("user", "?"), Message("assistant", _PLACEHOLDER), Message("user", observation)]
    text = tokenizer.apply_chat_template(_chat(tokenizer, chat), add_generation_prompt=True, tokenize=False)
    suffix = str(text).split(_PLACEHOLDER, 1)[1]
    if stopped and isinstance(tokenizer.eos_token, str):
        suffix = suffix.removeprefix(tokenizer.eos_token)
    return tokenizer.encode(suffix, add_special_tokens=False)


def encode_conversation(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], turns: Sequence[Message]
) -> tuple[list[int], list[int]]:
    """Token ids of a prompt and the turns behind it as a rollout would hold them, and their action mask.

    `turns` are replies (assistant) and observations (user); every reply ends with the stop token.
    """
    ids = encode_prompt(tokenizer, prompt)
    mask = [0] * len(ids)
    for message in turns:
        reply = message.role == "assistant"
        new = (
            encode_completion(tokenizer, message.content)
            if reply
            else encode_observation(tokenizer, message.content, stopped=True)
        )
        ids += new
        mask += [int(reply)] * len(new)
    return ids, mask


def decode_text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of sampled ids, special tokens left out."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def stop_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids that end a reply: the tokenizer's end token and those of the model's generation config."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    found = frozenset(token for token in [*ids, tokenizer.eos_token_id] if isinstance(token, int))
    if not found:
        raise AffineError(f"{tokenizer.name_or_path} names no stop token; set eos_token in its tokenizer")
    return found


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills left padding; any id would do, since padding is masked."""
    return next((t for t in (tokenizer.pad_token_id, tokenizer.eos_token_id) if isinstance(t, int)), 0)


def load_tokenizer(name: str, config: Config) -> PreTrainedTokenizerBase:
    """The tokenizer of a `model.name` or of an adapter folder that carries one."""
    path = model_path(name)
    if is_adapter(path) and not (Path(path) / "tokenizer_config.json").is_file():
        path = model_path(config.model.name)
    return _from_pretrained(AutoTokenizer, path, config)


def load_model(name: str, config: Config) -> PreTrainedModel:
    """The model in evaluation mode, on the CPU; a PEFT adapter comes merged into `model.name`."""
    path = model_path(name)
    base = model_path(config.model.name) if is_adapter(path) else path
    options = {"dtype": model_dtype(config), "attn_implementation": config.model.attn_implementation}
    if 0 < weight_bytes(base) < QUIET_BYTES:
        transformers.utils.logging.disable_progress_bar()
    model = _from_pretrained(AutoModelForCausalLM, base, config, **options)
    return merged(model, path) if is_adapter(path) else model.eval()


def weight_bytes(path: str) -> int:
    """The size of a local folder's safetensors; 0 for a hub id."""
    return sum(file.stat().st_size for file in Path(path).glob("*.safetensors"))


def merged(model: PreTrainedModel, adapter: str) -> PreTrainedModel:
    """`model` with the PEFT adapter folder merged into its weights, which makes sampling faster."""
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, adapter).merge_and_unload().eval()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise AffineError(
            f"the adapter {adapter} does not load on model.name = {model.name_or_path}: {_first_line(error)}"
        ) from error


def load_policy(name: str, config: Config, label: str) -> HFPolicy:
    """The policy of `nano`, a local model or adapter folder, or a hub id; `label` names it in the records."""
    model = load_model(name, config)
    limits = config.model
    longest = getattr(model.config, "max_position_embeddings", None) or 2**62
    for keys, needed in (
        ("max_prompt_tokens + model.max_new_tokens", limits.max_prompt_tokens + limits.max_new_tokens),
        ("max_episode_tokens", limits.max_episode_tokens),
    ):
        if needed > longest:
            raise AffineError(f"model.{keys} = {needed} is more than the {longest} positions of {name}")
    return HFPolicy(
        model,
        load_tokenizer(name, config),
        name=label,
        max_prompt_tokens=config.model.max_prompt_tokens,
        max_episode_tokens=config.model.max_episode_tokens,
        max_rows=config.evaluation.batch_size,
        device=training_device(),
    )


def model_dtype(config: Config) -> str:
    """`model.dtype`; "auto" is float32 on a CPU, and on a GPU what the weights are stored in."""
    if config.model.dtype == "auto" and training_device() == "cpu":
        return "float32"
    return config.model.dtype


def _from_pretrained(kind: Any, path: str, config: Config, **options: Any) -> Any:
    local = Path(path).is_dir()
    if not local:
        revision = config.model.revision if path == config.model.name else None
        options["revision"] = revision
        require_hub_model(path, revision)
    try:
        return kind.from_pretrained(
            path, trust_remote_code=config.model.trust_remote_code, local_files_only=local, **options
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        where = "the folder" if local else "the hub model"
        raise AffineError(f"cannot load {where} {path}: {_first_line(error)}") from error


def require_hub_model(name: str, revision: str | None) -> None:
    """AffineError at once where the hub does not give the model: transformers asks again for a minute."""
    if isinstance(huggingface_hub.try_to_load_from_cache(name, "config.json", revision=revision), str):
        return
    try:
        huggingface_hub.HfApi().model_info(name, revision=revision, timeout=20)
    except (OSError, ValueError, hub_http_error()) as error:
        raise AffineError(
            f"{name} is neither a local folder nor a model that the hub gives: {_first_line(error)}"
        ) from error


def _chat(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[dict[str, str]]:
    if not tokenizer.chat_template:
        raise AffineError(f"the tokenizer of {tokenizer.name_or_path} has no chat template; use a chat model")
    return [{"role": message.role, "content": message.content} for message in messages]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

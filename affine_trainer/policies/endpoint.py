"""A served model as a policy: whole conversations go to an OpenAI-compatible endpoint, many at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, TypeVar

from affine_trainer.config import Config
from affine_trainer.errors import AffineError, StageError
from affine_trainer.policies.chat_client import ChatClient, RequestFailedError
from affine_trainer.policies.endpoint_names import endpoint_address
from affine_trainer.records import Completion, Conversation, Message, Sampling, seed_from
from affine_trainer.rules import rules_named, task_seed

T = TypeVar("T")


class EndpointPolicy:
    """Answers through `config.endpoint`; a context manager, so that its connections are closed.

    A request that fails for good gives a completion that says "error", and so an episode without a grade.
    `endpoint.max_failures` of them in a row mean that the server is gone: StageError, and the evaluation can
    go on later. The key is read from the environment and is kept out of every record.
    """

    def __init__(self, config: Config, name: str) -> None:
        self.name = name
        self._limits = config.endpoint
        self._max_episode_tokens = config.model.max_episode_tokens
        self._seed = config.seed
        self._task_seeds = rules_named(config.evaluation.rules).task_seeds
        self._failures = 0
        self._loop = asyncio.new_event_loop()
        address, key = endpoint_address(config.endpoint.url or ""), endpoint_key(config)
        self._client = self._run(_made(ChatClient, address, key, config.endpoint))

    def __enter__(self) -> EndpointPolicy:
        try:
            self._run(self._client.check())
        except AffineError:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._run(self._client.close())
        self._loop.close()

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        """Answer every conversation as one batch; see `Completion` for what stands where there is no answer.

        A later turn that would not leave room for a reply within `model.max_episode_tokens`, as the server
        counts them, has `stop` "context".
        """
        return self._run(self._reply_all(conversations, sampling))

    async def _reply_all(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        return await asyncio.gather(*(self._reply(talk, sampling) for talk in conversations))

    async def _reply(self, conversation: Conversation, sampling: Sampling) -> Completion:
        later = conversation.sent_tokens > 0
        try:
            answer = await self._client.ask(
                self._body(conversation, sampling),
                seed_from(_asked(conversation), conversation.sample, len(conversation.messages)),
            )
        except RequestFailedError as error:
            self._count_failure(error)
            return Completion("", (), (), "error", counted=0, error=f"endpoint: {error}")
        self._failures = 0
        conversation.sent_tokens += answer.prompt_tokens
        if later and answer.prompt_tokens + sampling.max_new_tokens > self._max_episode_tokens:
            return Completion("", (), (), "context")
        conversation.messages.append(Message("assistant", answer.text))
        return Completion(answer.text, (), (), answer.stop, counted=answer.completion_tokens)

    def _body(self, conversation: Conversation, sampling: Sampling) -> dict[str, Any]:
        body = {
            "model": self._limits.model,
            "messages": [{"role": m.role, "content": m.content} for m in conversation.messages],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": self._request_seed(conversation),
        }
        return body | ({"top_p": sampling.top_p} if sampling.temperature > 0.0 else {})

    def _request_seed(self, conversation: Conversation) -> int:
        """The validators' seed of the task where the rules have one, for its first sample; else one drawn
        from the run's seed, the task and the sample. 32 bits, the same in every turn.
        """
        task = conversation.task
        if task is not None and self._task_seeds and conversation.sample == 0:
            return task_seed(task.env, task.index)
        return seed_from(self._seed, _asked(conversation), conversation.sample) % 2**32

    def _count_failure(self, error: RequestFailedError) -> None:
        self._failures += 1
        if self._failures >= self._limits.max_failures:
            raise StageError(
                f"{self._failures} requests in a row to {self._client.address} failed, the last one: "
                f"{error}. What was played is kept: see to the server and run the same command to go on."
            )

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end; when that fails or is interrupted, nothing is left running."""
        try:
            return self._loop.run_until_complete(work)
        except BaseException:
            if left := asyncio.all_tasks(self._loop):
                for task in left:
                    task.cancel()
                self._loop.run_until_complete(asyncio.wait(left))
            raise


def endpoint_key(config: Config) -> str | None:
    """The key from the environment variable that `endpoint.key_variable` names; None without one."""
    key = os.environ.get(config.endpoint.key_variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise AffineError(f"the key in {config.endpoint.key_variable} holds characters that no key has")
    return key or None


def _asked(conversation: Conversation) -> str:
    return conversation.task.key if conversation.task else conversation.messages[-1].content


async def _made(kind: type[ChatClient], *arguments: Any) -> ChatClient:
    """Made on the loop, as Python 3.10 would have it."""
    return kind(*arguments)

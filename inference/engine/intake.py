"""Prompts are checked and tokenised here, on threads that never compute."""

from collections.abc import Callable

from inference.engine import messages
from inference.engine.detokenise import Vocabulary
from inference.engine.messages import Json, Refusal
from inference.engine.parameters import Parameters, parse
from inference.engine.requests import Request, Sequence
from inference.engine.sorting import Sorter
from inference.engine.stopping import StopMatcher
from inference.engine.templates import Templates, too_long
from inference.engine.tokenising import tokenised
from memory.protocol import Channel, Message

Deliver = Callable[[Request | Message], None]


class Intake(Sorter[Request]):
    """`deliver` gets what the engine must act on: checked requests, and the node's other messages."""

    def __init__(
        self,
        channel: Channel,
        templates: Templates,
        vocabulary: Vocabulary,
        *,
        defaults: Json,
        vocab_size: int,
        context_limit: int,
        deliver: Deliver,
    ) -> None:
        super().__init__(channel, deliver)
        self._templates, self._vocabulary = templates, vocabulary
        self._defaults, self._vocab_size, self._context_limit = defaults, vocab_size, context_limit

    def _checked(self, id_: str, message: Message, arrived: float) -> Request | Json:
        if message.get("tokenise") is True:
            return messages.tokenised(id_, tokenised(self._templates, message))
        parameters = parse(message, self._defaults, self._vocab_size)
        prompt, points = self._templates.prompt(message)
        param = "messages" if message["kind"] == "chat" else "prompt"
        if not prompt:
            raise Refusal(400, "empty_prompt", "The prompt is empty: there is nothing to go on from.", param=param)
        if len(prompt) >= self._context_limit:
            raise too_long(len(prompt), self._context_limit, param)
        request = self._request(id_, message["kind"], prompt, parameters, arrived)
        request.points = points
        return request

    def _request(self, id_: str, kind: str, prompt: list[int], parameters: Parameters, arrived: float) -> Request:
        left = self._context_limit - len(prompt)
        request = Request(id_, kind, prompt, parameters, min(left, parameters.max_tokens or left), arrived)
        for index in range(parameters.n):
            text = self._vocabulary.detokeniser(strip_space=kind == "chat")
            request.sequences.append(Sequence(request, index, list(prompt), text, StopMatcher(parameters.stop)))
        return request

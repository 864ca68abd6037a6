"""Prompts are checked and tokenised here, on threads that never compute."""

from collections.abc import Callable

from inference.engine import messages
from inference.engine.answering import Answering, Prepared
from inference.engine.detokenise import Vocabulary
from inference.engine.messages import Json, Refusal
from inference.engine.parameters import parse
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
        answering: Answering,
        *,
        defaults: Json,
        vocab_size: int,
        context_limit: int,
        deliver: Deliver,
    ) -> None:
        super().__init__(channel, deliver)
        self._templates, self._vocabulary, self._answering = templates, vocabulary, answering
        self._defaults, self._vocab_size, self._context_limit = defaults, vocab_size, context_limit

    def _checked(self, id_: str, message: Message, arrived: float) -> Request | Json:
        if message.get("tokenise") is True:
            return messages.tokenised(id_, tokenised(self._templates, message))
        parameters = parse(message, self._defaults, self._vocab_size)
        asked = self._templates.wish(message)
        prompt = self._templates.prompt(message, asked)
        param = "messages" if message["kind"] == "chat" else "prompt"
        if not prompt.tokens:
            raise Refusal(400, "empty_prompt", "The prompt is empty: there is nothing to go on from.", param=param)
        if len(prompt.tokens) >= self._context_limit:
            raise too_long(len(prompt.tokens), self._context_limit, param)
        prepared = self._answering.prepare(message, asked, prompt)
        left = self._context_limit - len(prompt.tokens)
        most = min(left, parameters.max_tokens or left)
        request = Request(id_, message["kind"], prompt.tokens, parameters, most, arrived)
        request.points = prompt.points
        request.sequences += [self._sequence(request, index, prepared) for index in range(parameters.width)]
        return request

    def _sequence(self, request: Request, index: int, prepared: Prepared) -> Sequence:
        text = self._vocabulary.detokeniser(strip_space=request.kind == "chat")
        guide = prepared.guide()
        stops = StopMatcher(request.parameters.stop)
        return Sequence(request, index, list(request.prompt), text, prepared.speech(guide), stops, guide)

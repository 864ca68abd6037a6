"""Anthropic's request as chat's."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from fmlx_site.errors import InvalidRequest
from inference.api.formats.translation import Json, Translated, unsupported
from inference.api.schemas.messages import (
    HARMLESS_EDITS,
    CountTokensRequest,
    DocumentBlock,
    ImageBlock,
    MessagesRequest,
    TextBlock,
    Tool,
    ToolChoice,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
)
from inference.errors import NoEyes

NAMES = {
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "response_format": "output_config.format",
    "response_format.json_schema": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}
MOST = {"max": "xhigh"}  # no model here knows of more
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# Claude Code's first block of the system prompt counts something up, so that no prompt would begin as the last one did.
COUNTER = "x-anthropic-billing-header:"

BREAK = {"type": "text", "text": "\n\n"}  # between blocks, which for Anthropic's models are apart from each other


def translated(asked: CountTokensRequest) -> Translated:
    """Raises InvalidRequest or UnsupportedParameter for what chat could not say itself."""
    _require_no_edits(asked.context_management)
    names = NAMES | {f"tools.{number}.function.parameters": f"tools.{number}.input_schema" for number in _of(asked)}
    names |= {f"tools.{number}.function": f"tools.{number}" for number in _of(asked)}
    chat = Translated(body={"model": asked.model}, names=names)
    chat.body["messages"] = []
    for origin, message in [*_system(asked), *_turns(asked.messages)]:
        chat.body["messages"].append(message)
        chat.origins.append(origin)
    chat.body |= _tools(asked) | _output(asked) | _sampling(asked) | _prefill(asked)
    _think(asked, chat)
    return chat


def _of(asked: CountTokensRequest) -> range:
    return range(len(asked.tools or ()))


def _require_no_edits(management: Json | None) -> None:
    """Claude Code asks that all thoughts be kept, which is what happens."""
    for edit in (management or {}).get("edits") or ():
        if not isinstance(edit, dict) or edit.get("type") not in HARMLESS_EDITS or edit.get("keep", "all") != "all":
            raise unsupported("context_management.edits")
    if set(management or {}) - {"edits"}:
        raise unsupported("context_management")


def _system(asked: CountTokensRequest) -> Iterator[tuple[str, Json]]:
    texts = [block.text for block in asked.system or () if not block.text.startswith(COUNTER)]
    if any(texts):
        yield "system", {"role": "system", "content": "\n\n".join(texts)}


def _turns(turns: Sequence[Turn]) -> Iterator[tuple[str, Json]]:
    """Turns of one role that follow each other are one, as with Anthropic; tools' results are messages of their own."""
    last: Json = {}
    for number, turn in enumerate(turns):
        origin = f"messages.{number}"
        for message in _assistant(turn, origin) if turn.role == "assistant" else _said(turn, origin):
            if last and message["role"] == last["role"] != "tool":
                _merge(last, message)
                continue
            last = message
            yield origin, message


def _merge(into: Json, message: Json) -> None:
    if into["role"] != "assistant":
        into["content"] = [*into["content"], BREAK, *message["content"]]
        return
    into["content"] = [*into["content"], *message["content"]]
    if calls := message.get("tool_calls"):
        into["tool_calls"] = [*into.get("tool_calls", ()), *calls]
    if thoughts := message.get("reasoning_content"):
        into["reasoning_content"] = into.get("reasoning_content", "") + thoughts


def _said(turn: Turn, origin: str) -> Iterator[Json]:
    parts: list[Json] = []
    for number, block in enumerate(turn.content):
        place = f"{origin}.content.{number}"
        if isinstance(block, ToolResultBlock) and turn.role == "user":
            if parts:
                yield {"role": turn.role, "content": parts}
                parts = []
            yield _result(block, place)
        elif isinstance(block, TextBlock | ImageBlock | DocumentBlock):
            parts += [BREAK] if parts else []
            parts.append(_part(block, place))
        else:
            raise InvalidRequest(f"{place}: a {block.type!r} block cannot be in a {turn.role} message.", param=place)
    if parts:
        yield {"role": turn.role, "content": parts}


def _result(block: ToolResultBlock, place: str) -> Json:
    parts = [_part(part, f"{place}.content.{number}") for number, part in enumerate(block.content)]
    marked = [{"type": "text", "text": "Error: "}, *parts] if block.is_error else parts
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": marked or ""}


def _part(block: TextBlock | ImageBlock | DocumentBlock, place: str) -> Json:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    if isinstance(block, ImageBlock):
        raise NoEyes(place, "image")
    if block.source.get("type") != "text" or not isinstance(block.source.get("data"), str):
        raise unsupported(f"{place}.source", ("a source of type text",))
    if block.citations and block.citations.get("enabled"):
        raise unsupported(f"{place}.citations")
    return {"type": "text", "text": "\n".join(filter(None, (block.title, block.context, block.source["data"])))}


def _assistant(turn: Turn, origin: str) -> Iterator[Json]:
    parts: list[Json] = []
    calls: list[Json] = []
    thoughts: list[str] = []
    for number, block in enumerate(turn.content):
        match block.type:
            case "text":
                parts.append({"type": "text", "text": block.text})
            case "tool_use":
                calls.append(_call(block))
            case "thinking":
                thoughts.append(block.thinking)
            case "redacted_thinking":
                continue
            case _:
                place = f"{origin}.content.{number}"
                raise InvalidRequest(f"{place}: a {block.type!r} block cannot be the assistant's.", param=place)
    message: Json = {"role": "assistant", "content": parts}
    message |= {"tool_calls": calls} if calls else {}
    yield message | ({"reasoning_content": "".join(thoughts)} if any(thoughts) else {})


def _call(block: ToolUseBlock) -> Json:
    arguments = json.dumps(block.input, ensure_ascii=False)
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _tools(asked: CountTokensRequest) -> Json:
    if not asked.tools:
        if asked.tool_choice and asked.tool_choice.type in ("any", "tool"):
            raise InvalidRequest("tool_choice: there are no tools to choose from.", param="tool_choice")
        return {}
    choice = asked.tool_choice or ToolChoice(type="auto")
    parallel = {"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {}
    return {"tools": [_tool(tool) for tool in asked.tools], "tool_choice": _choice(choice), **parallel}


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "parameters": tool.input_schema}
    function |= {"description": tool.description} if tool.description is not None else {}
    function |= {"strict": tool.strict} if tool.strict is not None else {}
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> Any:
    if choice.type != "tool":
        return CHOICES[choice.type]
    if not choice.name:
        raise InvalidRequest("tool_choice.name: name the tool.", param="tool_choice.name")
    return {"type": "function", "function": {"name": choice.name}}


def _output(asked: CountTokensRequest) -> Json:
    config = asked.output_config
    body: Json = {"reasoning_effort": MOST.get(config.effort, config.effort)} if config and config.effort else {}
    if config and config.format:
        wanted = {"name": "output", "schema": config.format.schema_, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return body


def _sampling(asked: CountTokensRequest) -> Json:
    if not isinstance(asked, MessagesRequest):
        return {}
    given = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k, "stream": asked.stream}
    return {"max_completion_tokens": asked.max_tokens, "stop": asked.stop_sequences or None, **given}


def _prefill(asked: CountTokensRequest) -> Json:
    """An answer that was begun is gone on with."""
    last = asked.messages[-1]
    begun = last.role == "assistant" and all(isinstance(block, TextBlock) for block in last.content)
    return {"continue_final_message": True, "add_generation_prompt": False} if begun else {}


def _think(asked: CountTokensRequest, chat: Translated) -> None:
    if not (thinking := asked.thinking) or thinking.type == "adaptive":
        return  # the model decides, as without it
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        raise InvalidRequest("thinking.budget_tokens: say how many tokens.", param="thinking.budget_tokens")
    chat.engine["reasoning"] = {"enabled": thinking.type == "enabled", "place": "thinking"}
    if thinking.budget_tokens is not None:
        chat.engine["reasoning"]["budget"] = thinking.budget_tokens
    if effort := chat.body.get("reasoning_effort"):
        chat.engine["reasoning"]["effort"] = effort

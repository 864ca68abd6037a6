"""OpenAI's Responses request as chat's."""

from collections.abc import Sequence
from typing import Any

from fmlx_site.errors import InvalidRequest
from inference.api.formats.response_items import chat_messages
from inference.api.formats.translation import Json, Translated
from inference.api.schemas.response_items import Item
from inference.api.schemas.responses import AllowedTools, FunctionTool, NamedFunction, ResponsesRequest, SchemaFormat

NAMES = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "include",
}
MOST = {"max": "xhigh"}  # no model here knows of more
LOGPROBS = "message.output_text.logprobs"


def translated(asked: ResponsesRequest, before: Sequence[Item]) -> Translated:
    """`before` are the items of the responses that this one goes on from. Raises InvalidRequest."""
    if asked.background and asked.store is False:
        raise InvalidRequest("background: what is made in the background is stored; leave out 'store'.", param="store")
    names = NAMES | {f"tools.{number}.function": f"tools.{number}" for number in range(len(asked.tools or ()))}
    chat = Translated(body={"model": asked.model, "messages": []}, names=names)
    if asked.instructions:
        chat.body["messages"].append({"role": "system", "content": asked.instructions})
        chat.origins.append("instructions")
    earlier = [("previous_response_id", item) for item in before]
    for place, message in chat_messages([*earlier, *((f"input.{at}", item) for at, item in enumerate(asked.input))]):
        chat.body["messages"].append(message)
        chat.origins.append(place)
    chat.body |= _tools(asked) | _sampling(asked) | _format(asked)
    return chat


def _tools(asked: ResponsesRequest) -> Json:
    if not asked.tools:
        return {} if asked.tool_choice in (None, "auto", "none") else {"tool_choice": _choice(asked.tool_choice)}
    tools = [_tool(tool) for tool in asked.tools]
    return {
        "tools": tools,
        "tool_choice": _choice(asked.tool_choice),
        "parallel_tool_calls": asked.parallel_tool_calls,
    }


def _tool(tool: FunctionTool) -> Json:
    return {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}


def _choice(choice: Any) -> Any:
    if isinstance(choice, NamedFunction):
        return {"type": "function", "function": {"name": choice.name}}
    if isinstance(choice, AllowedTools):
        tools = [{"type": "function", "function": {"name": tool.name}} for tool in choice.tools]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return choice


def _sampling(asked: ResponsesRequest) -> Json:
    names = ("temperature", "top_p", "metadata", "user", "safety_identifier", "prompt_cache_key")
    body: Json = {name: value for name in names if (value := getattr(asked, name)) is not None}
    if asked.max_output_tokens is not None:
        body["max_completion_tokens"] = asked.max_output_tokens
    if asked.top_logprobs or LOGPROBS in (asked.include or ()):
        body |= {"logprobs": True, "top_logprobs": asked.top_logprobs or 0}
    if asked.reasoning and asked.reasoning.effort:
        body["reasoning_effort"] = MOST.get(asked.reasoning.effort, asked.reasoning.effort)
    return body | {"stream": bool(asked.stream or asked.background)}


def _format(asked: ResponsesRequest) -> Json:
    wanted = asked.text.format if asked.text else None
    if wanted is None or wanted.type == "text":
        return {}
    if not isinstance(wanted, SchemaFormat):
        return {"response_format": {"type": wanted.type}}
    schema = wanted.model_dump(exclude={"type"}, exclude_none=True, by_alias=True)
    return {"response_format": {"type": "json_schema", "json_schema": schema}}

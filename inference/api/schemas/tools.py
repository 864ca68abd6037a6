"""Tools: what a client offers, which of them a model is to call, and the calls and results of earlier turns."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from inference.errors import UnsupportedParameter

MAX_TOOLS = 512
STRICT = ConfigDict(strict=True, extra="forbid")


class Function(BaseModel):
    """`strict`: the arguments follow `parameters`, a JSON schema; else they are some JSON object."""

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:/-]{1,128}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(BaseModel):
    model_config = STRICT

    type: Literal["function"]
    function: Function


class Named(BaseModel):
    model_config = STRICT

    name: str


class NamedTool(BaseModel):
    model_config = STRICT

    type: Literal["function"]
    function: Named


class AllowedTools(BaseModel):
    model_config = STRICT

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Field(min_length=1)]


class AllowedChoice(BaseModel):
    model_config = STRICT

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


def _choice(value: Any) -> Any:
    """Read by its type, so that what is wrong with it is said of that type."""
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if kind == "custom":
        raise UnsupportedParameter("'tool_choice' of a custom tool is not supported.", param="tool_choice")
    return AllowedChoice.model_validate(value) if kind == "allowed_tools" else NamedTool.model_validate(value)


Choice = Annotated[
    Literal["none", "auto", "required"] | NamedTool | AllowedChoice | None,
    BeforeValidator(_choice),
    Field(description="A call is enforced where it is required or names a tool."),
]


def choice_for_engine(choice: Any) -> Any:
    if isinstance(choice, NamedTool):
        return {"name": choice.function.name}
    if isinstance(choice, AllowedChoice):
        names = [tool.function.name for tool in choice.allowed_tools.tools]
        return {"names": names, "mode": choice.allowed_tools.mode}
    return choice


class CalledBefore(BaseModel):
    model_config = STRICT

    name: str
    arguments: str = Field(description="JSON text, as it was answered.")


class CallBefore(BaseModel):
    """A call in an assistant's earlier turn."""

    model_config = STRICT

    id: str
    type: Literal["function"] = "function"
    function: CalledBefore

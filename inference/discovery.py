"""Finding models in folders: flat, org/model, hub cache, or a folder that is itself a model. Nothing is loaded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference import upscalers
from inference.diffusers import check_weights, pipeline_of, read_json, resident_bytes, sizes_of
from inference.engine.encoder.checkpoint import Plan, plan
from inference.engine.unserved import Unserved
from inference.models import ModelFolder
from memory.marking import gettext_noop as _
from memory.sentences import Part

MARKERS = ("model_index.json", "config.json", upscalers.VAE, upscalers.PYTORCH_VAE)
HUB_PREFIX = "models--"
OWN_SETTINGS = "fmlx.json"
TEXT_CONFIGS = ("text_config", "language_config", "llm_config")
WINDOWS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
Type = ModelFolder.Type


@dataclass(frozen=True, slots=True)
class Found:
    """A folder that looks like a model. `skipped_because` is a sentence when it is not served, with its parts."""

    name: str
    path: Path
    type: str = Type.UNSERVED
    pipeline: str = ""
    size_bytes: int = 0
    resident_bytes: int = 0
    context_window: int | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    rank: int = 0
    skipped_because: str = ""
    skipped_said: list[Part] = field(default_factory=list)


def scan(folders: Iterable[Path]) -> list[Found]:
    """Everything that looks like a model under the given folders, served or not, each name served once."""
    found: list[Found] = []
    names: set[str] = set()
    for name, path in (pair for folder in folders for pair in _roots(folder)):
        model = _look(name, path)
        if model.type and name in names:
            model = _skipped(name, path, Unserved(_("Another folder is served as %(name)s already."), name=name))
        names |= {name} if model.type else set()
        found.append(model)
    return found


def _roots(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name, root) of each candidate. A root is never descended into, so components do not count."""
    if _is_root(folder):
        yield folder.name, folder
        return
    for child in _children(folder):
        if child.name.startswith(HUB_PREFIX):
            yield from _hub_snapshot(child)
        elif _is_root(child):
            yield child.name, child
        else:
            yield from _organisation(child)


def _organisation(folder: Path) -> Iterator[tuple[str, Path]]:
    inside = [child for child in _children(folder) if _is_root(child)]
    yield from ((f"{folder.name}/{child.name}", child) for child in inside)
    if not inside and any(folder.glob("*.safetensors*")):
        yield folder.name, folder


def _hub_snapshot(folder: Path) -> Iterator[tuple[str, Path]]:
    """`models--Org--Name/refs/main` holds the commit whose files are in `snapshots/<commit>`."""
    name = folder.name.removeprefix(HUB_PREFIX).replace("--", "/")
    reference = folder / "refs" / "main"
    if reference.is_file():
        yield name, folder / "snapshots" / reference.read_text().strip()
    else:
        yield name, folder


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _is_root(folder: Path) -> bool:
    return any((folder / marker).is_file() for marker in MARKERS)


def _look(name: str, path: Path) -> Found:
    try:
        if (path / "model_index.json").is_file():
            return _video(name, path)
        if any((path / file).is_file() for file in (upscalers.VAE, upscalers.PYTORCH_VAE)):
            return _upscaler(name, path)
        return _language(name, path)
    except Unserved as reason:
        return _skipped(name, path, reason)
    except OSError as error:
        return Found(name, path, skipped_because=str(error))


def _skipped(name: str, path: Path, reason: Unserved) -> Found:
    return Found(name, path, skipped_because=str(reason), skipped_said=reason.parts)


def _video(name: str, path: Path) -> Found:
    own = _own_settings(path)
    return Found(
        name=name,
        path=path,
        type=Type.VIDEO,
        pipeline=pipeline_of(path),
        size_bytes=sum(file.stat().st_size for file in path.rglob("*.safetensors")),
        resident_bytes=resident_bytes(path),
        sizes=sizes_of(path),
        defaults=own.get("defaults", {}),
        rank=own.get("rank", 0),
    )


def _upscaler(name: str, path: Path) -> Found:
    own, pipeline = _own_settings(path), upscalers.pipeline_of(path)
    size = upscalers.resident_bytes(path, pipeline)
    return Found(
        name=name,
        path=path,
        type=Type.UPSCALE,
        pipeline=pipeline,
        size_bytes=size,
        resident_bytes=size,
        sizes=upscalers.sizes_of(path, pipeline),
        rank=own.get("rank", 0),
    )


def _own_settings(path: Path) -> dict[str, Any]:
    """What the folder says of itself, if it does: request defaults, and its rank among the models to choose from."""
    own = read_json(path / OWN_SETTINGS) if (path / OWN_SETTINGS).is_file() else {}
    if not isinstance(own.get("defaults", {}), dict) or not isinstance(own.get("rank", 0), int):
        raise Unserved(_("In %(file)s, 'defaults' must be an object and 'rank' a whole number."), file=OWN_SETTINGS)
    return own


def _language(name: str, path: Path) -> Found:
    config = read_json(path / "config.json")
    if "_class_name" in config:
        text = _("This is a component of a diffusers pipeline (%(component)s), not a model.")
        raise Unserved(text, component=str(config["_class_name"]))
    own = _own_settings(path)
    try:
        encoder = plan(path, config, own.get("type", ""))
    except (KeyError, TypeError, ValueError) as error:
        text = _("What its configuration says of embeddings cannot be read: %(why)s.")
        raise Unserved(text, why=repr(error)) from error
    return _encoder(name, path, encoder, own) if encoder else _chat(name, path, config, own)


def _encoder(name: str, path: Path, made: Plan, own: dict[str, Any]) -> Found:
    check_weights(path)
    size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    return Found(
        name=name,
        path=path,
        type=Type.RERANK if made.task == "rerank" else Type.EMBEDDING,
        size_bytes=size,
        resident_bytes=size,
        context_window=made.window,
        rank=own.get("rank", 0),
    )


def _chat(name: str, path: Path, config: dict[str, Any], own: dict[str, Any]) -> Found:
    architectures = config.get("architectures") or []
    if not any("CausalLM" in str(architecture) for architecture in architectures):
        text = _("config.json names no architecture that is served (it names: %(named)s).")
        raise Unserved(text, named=", ".join(map(str, architectures)) or "-")
    check_weights(path)
    size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    return Found(
        name=name,
        path=path,
        type=Type.CHAT,
        size_bytes=size,
        resident_bytes=size,
        context_window=_context_window(config),
        rank=own.get("rank", 0),
    )


def _context_window(config: dict[str, Any]) -> int | None:
    """Tokens. Models that see as well keep their text model's dimensions apart."""
    parts = [config, *(config[name] for name in TEXT_CONFIGS if isinstance(config.get(name), dict))]
    found = [part[name] for part in parts for name in WINDOWS if isinstance(part.get(name), int)]
    return next((window for window in found if 0 < window < 2**31), None)

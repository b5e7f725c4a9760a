"""Facts from the small files of a model, read within milliseconds and without torch, by which requests are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.model.model_files import ModelFiles, local_model
from store.files.errors import MonosemError

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len")
"""Names of the same number in the configurations of different families."""
SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_in", "mlp_out", "mlp_act")
TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")


@dataclass(frozen=True)
class ConfigFile:
    """Facts about a model; None where its files do not say."""

    name: str
    n_layers: int | None
    max_context: int | None
    has_tokenizer: bool
    has_template: bool
    """Whether its tokenizer has a chat template."""

    def check_site(self, site: str, layer: int | None) -> None:
        """Refuse a layer that the model does not have, and a name that is neither a site's nor a module's path."""
        if site not in SITES and "." not in site and ":" not in site:
            raise MonosemError(f"no site is called {site!r}", f"Use {', '.join(SITES)}, or a module path.")
        if site in SITES and layer is not None and self.n_layers and not 0 <= layer < self.n_layers:
            raise MonosemError(f"{self.name} has no layer {layer}", f"Its layers are 0 to {self.n_layers - 1}.")

    def check_context(self, context: int | None) -> None:
        """Refuse a context longer than the model was made for."""
        if context is not None and self.max_context and context > self.max_context:
            raise MonosemError(f"{self.name} was made for contexts of up to {self.max_context} tokens, not {context}")

    def check_text(self, *, chat: bool) -> None:
        """Refuse a model that cannot read text, or a chat where its tokenizer has no template."""
        if not self.has_tokenizer:
            raise MonosemError(
                f"{self.name} has no tokenizer, so it cannot read text", "Put tokenizer.json into its folder."
            )
        if chat and not self.has_template:
            raise no_template(self.name)


def no_template(name: str) -> MonosemError:
    """Return why a model reads no chats."""
    return MonosemError(
        f"the tokenizer of {name} has no chat template",
        "Use a model that was tuned for chats, or plain text, without `chat=True`.",
    )


def config_file(name: str, *, needs_weights: bool = True) -> ConfigFile | None:
    """Return the facts in the files of a model; None for a model that is not on this disk.

    Raises:
        MonosemError: the model's folder is unusable.
    """
    files = local_model(name, needs_weights=needs_weights)
    if files is None:
        return None
    if files.source:  # its header is read by a package that may be missing
        return None
    config = _json(files.folder / "config.json")
    inner = config.get("text_config", config)
    inner = inner if isinstance(inner, dict) else config
    return ConfigFile(
        name, first_number(inner, LAYERS), first_number(inner, CONTEXT), files.has_tokenizer, _template(files)
    )


def _template(files: ModelFiles) -> bool:
    named = any((files.folder / name).exists() for name in TEMPLATES)
    return named or bool(_json(files.folder / "tokenizer_config.json").get("chat_template"))


def first_number(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """Return the first positive whole number that a configuration has under one of the names."""
    found = (config.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and value > 0), None)


def _json(path: Path) -> dict[str, Any]:
    """Return an object from a file; an empty one for what cannot be read, which is refused with a reason later."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}

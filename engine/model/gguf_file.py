"""GGUF files, which transformers reads with the packages gguf and accelerate (the extra `gguf`).

Weights are dequantised when they are loaded: the network is an ordinary one, of the numbers that the file stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from engine.runtime.hub import one_line
from store.files.errors import MonosemError


def gguf_sizes(path: Path) -> dict[str, int]:
    """Return the number of parameters of each tensor of a file, by its name there.

    Raises:
        MonosemError: the packages are missing, or the file is damaged.
    """
    with _whole(path):
        return {str(one.name): prod(map(int, one.shape)) for one in reader(str(path)).tensors}


def gguf_integers(path: Path) -> dict[str, int]:
    """Return the whole numbers among the settings of a file, by name.

    Raises:
        MonosemError: the packages are missing, or the file is damaged.
    """
    with _whole(path):
        reader(str(path))
        return _integers(str(path))


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file raises into a `MonosemError`."""
    try:
        yield
    except MonosemError:
        raise
    except Exception as error:  # IndexErrors, ValueErrors and more, wherever the file ends
        raise MonosemError(
            f"{path} is damaged or truncated ({one_line(error)})", "Delete it, then fetch or copy it again."
        ) from error


@cache
def reader(path: str) -> Any:
    """Return gguf's reader of a file, which takes seconds for a large vocabulary; transformers shares it.

    Raises:
        MonosemError: the packages are missing.
        ValueError: the header claims more than the file holds.
    """
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing:
        raise MonosemError(
            f"reading {path} takes the package {missing[0]}, which is not installed", "pip install 'monosem[gguf]'"
        )
    _integers(path)
    import gguf
    from transformers import modeling_gguf_pytorch_utils

    modeling_gguf_pytorch_utils.tqdm = lambda items, **_: items  # its bar does not ask whether one is wanted
    own = gguf.GGUFReader
    if not hasattr(own, "cache_info"):
        gguf.GGUFReader = cache(own)
    return gguf.GGUFReader(path)


@cache
def _integers(path: str) -> dict[str, int]:
    from engine.model.gguf_header import read_gguf_integers  # few models are in such files

    return read_gguf_integers(path)


def gguf_arguments(path: Path) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` for an ordinary network of a file's weights."""
    from transformers import GgufConfig

    reader(str(path))
    return {"gguf_file": path.name, "quantization_config": GgufConfig(dequantize=True)}

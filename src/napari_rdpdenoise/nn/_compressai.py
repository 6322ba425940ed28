"""Parts of CompressAI without the rest of it.

``import compressai`` also loads its data sets, transforms and model zoo, and with them torch_geometric,
torchvision, pandas and torch's compiler: 10 seconds of a processor where what is used here (entropy models,
GDN, the range coder) takes 2. The compiler moreover loads triton, whose LLVM beside that of a graphics driver
ended napari with a segmentation fault. The entropy models load scipy.stats, half a second, for one quantile
that nothing here asks for: they have it when somebody does.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_NAME = "compressai"
_CODER = "ans"  # the one that CompressAI has built in
_ENTROPY_MODELS = f"{_NAME}.entropy_models.entropy_models"
_STATISTICS = "scipy.stats"


def prepare() -> None:
    """Let submodules of CompressAI be imported by themselves, unless it is loaded already.

    The package becomes whole when somebody asks for anything else that is in it.

    Raises:
        ModuleNotFoundError: If CompressAI is not installed.
    """
    if _NAME in sys.modules:
        return
    spec = find_spec(_NAME)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(
            f"no module named {_NAME!r}; install it with pip install {_NAME}", name=_NAME
        )
    package, loader = module_from_spec(spec), spec.loader

    def find(name: str) -> Any:
        if name.startswith("__") or f"{_NAME}.{name}" in sys.modules:
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
        if vars(package).get("__getattr__") is find:
            del vars(package)["__getattr__"]
            loader.exec_module(package)
        return getattr(package, name)

    vars(package).update(
        __getattr__=find, get_entropy_coder=lambda: _CODER, available_entropy_coders=lambda: [_CODER]
    )
    sys.meta_path.insert(0, _Finder())
    sys.modules[_NAME] = package


class _Finder(MetaPathFinder):
    """Finds the module of the entropy models, which is loaded in a way of its own."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where that module lies; None for any other, and where it is no file of Python."""
        if fullname != _ENTROPY_MODELS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _WithoutStatistics(spec.loader.name, spec.loader.path)
        return spec


class _WithoutStatistics(SourceFileLoader):
    """Loads a module whose ``import scipy.stats`` waits: SciPy loads that part when it is asked for."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _imported}
        super().exec_module(module)


def _imported(name: str, *how: Any) -> Any:
    """``import`` inside that module."""
    return builtins.__import__("scipy" if name == _STATISTICS else name, *how)

"""Parts of CompressAI without the rest of it.

``import compressai`` also loads its data sets, transforms and model zoo, and with them torch_geometric,
torchvision, pandas and torch's compiler: 10 seconds of a processor where what is used here (entropy models,
GDN, the range coder) takes 2. The compiler moreover loads triton, whose LLVM beside that of a graphics driver
ended napari with a segmentation fault.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import Any

_NAME = "compressai"
_CODER = "ans"  # the one that CompressAI has built in


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
    sys.modules[_NAME] = package

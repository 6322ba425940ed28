"""What fine-tuning brings on the user's own data, and whether a run of it can be trusted to go on.

    python -m benchmarks.finetune unpaired|zeroshot|set12|resume|memory [--model NAME] [--threads 1] ...

Each part keeps ``results/finetune_<part>.json``; the parts' modules say what they measure and how.
"""

from __future__ import annotations

import sys
from importlib import import_module

PARTS = ("unpaired", "zeroshot", "set12", "resume", "memory")


def main() -> int:
    """Hand the rest of the command line to a part."""
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        print(f"expected a part of {', '.join(PARTS)}, found {sys.argv[1:2]}", file=sys.stderr)
        return 2
    part = sys.argv.pop(1)
    import_module(f"benchmarks.finetune_{part}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())

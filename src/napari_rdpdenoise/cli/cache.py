"""``napari-rdpdenoise cache``: how large the cache of encoded tiles is, and emptying it."""

from __future__ import annotations

import typer

from napari_rdpdenoise.cli.console import guarded, result

cache_app = typer.Typer(invoke_without_command=True)


@cache_app.callback()
def size(context: typer.Context) -> None:
    """Show where the cache of encoded tiles is and how large; `cache clear` empties it."""
    if context.invoked_subcommand is not None:
        return
    with guarded():
        from napari_rdpdenoise.cache import LatentCache

        cache = LatentCache()
        stats = cache.stats()
        result(f"{cache.folder}: {stats.entries} tiles, {mebibytes(stats.disk_bytes)}")


@cache_app.command()
def clear() -> None:
    """Remove all encoded tiles; results are not touched."""
    with guarded() as command:
        from napari_rdpdenoise.cache import LatentCache

        command.working = True
        cache = LatentCache()
        before = cache.stats()
        cache.clear()
        result(f"{cache.folder}: removed {before.entries} tiles, {mebibytes(before.disk_bytes)}")


def mebibytes(count: int) -> str:
    """Bytes as text, ``"1.5 MiB"``."""
    return f"{count / 2**20:.1f} MiB"

"""Install the package in every way that people do, and look for the manifest and the models inside it.

Each way gets a fresh virtual environment that holds nothing but the package; its dependencies are borrowed
from the environment that runs this script, so that torch is not installed again. From the repository root:

    python scripts/check_packaging.py
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Runs inside each new environment. Arguments: the root of the repository, whether files must come from it.
LOOK = """
import sys
from pathlib import Path

import napari_rdpdenoise
from npe2 import PluginManifest

root, editable = Path(sys.argv[1]), sys.argv[2] == "True"
package = Path(napari_rdpdenoise.__file__).resolve().parent
assert package.is_relative_to(root if editable else sys.prefix), f"the package was loaded from {package}"
wanted = {p.relative_to(root) for p in [root / "napari.yaml", *(root / "models").rglob("*")] if p.is_file()}
missing = sorted(str(name) for name in wanted if not (package / name).is_file())
assert not missing, f"not inside the installed package: {missing}"
assert (package / "py.typed").is_file()
manifest = PluginManifest.from_distribution("napari-rdpdenoise")
assert manifest.package_version == napari_rdpdenoise.__version__
manifest.validate_imports()
print(f"  {len(wanted)} files beside the modules, {len(manifest.contributions.commands)} napari commands")
"""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command; its output is shown if it fails.

    Raises:
        SystemExit: the command failed.
    """
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    for line in done.stdout.splitlines():
        if line.startswith("  "):
            print(line)


def new_environment(folder: Path) -> Path:
    """Make an environment that borrows this one's packages; returns its Python."""
    venv.create(folder, with_pip=True, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    # A .pth file adds the folder but does not follow the .pth files in it: an editable install of the package
    # over there stays out of sight.
    borrowed = sysconfig.get_paths()["purelib"]
    (Path(paths["purelib"]) / "borrowed.pth").write_text(borrowed + "\n")
    return Path(paths["scripts"]) / "python"


def check(name: str, folder: Path, *installs: tuple[str | Path, ...]) -> None:
    """Install one after the other into a fresh environment, and look at the last."""
    print(name, flush=True)
    python = new_environment(folder)
    for arguments in installs:
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", *arguments)
    editable = "-e" in installs[-1]
    run(python, "-c", LOOK, ROOT, str(editable), cwd=folder)
    run(python.with_name("napari-rdpdenoise"), "--help", cwd=folder)


def main() -> None:
    """Check every way to install."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name).resolve()
        run(sys.executable, "-m", "build", "--sdist", "--outdir", work / "sdist")
        (sdist,) = (work / "sdist").glob("*.tar.gz")
        check("pip install .", work / "plain", (ROOT,))
        check("pip install -e .", work / "editable", ("-e", ROOT))
        check("pip install . after -e", work / "again", ("-e", ROOT), (ROOT,))
        check("sdist to wheel", work / "from-sdist", (sdist,))


if __name__ == "__main__":
    main()

"""The rooms import one way, and each module that exists has its place among them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "vidode"


def layers() -> set[str]:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    return {name.strip(" ()").removeprefix("vidode.") for layer in contract["layers"] for name in layer.split(":")}


def test_data_flows_one_way():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def rooms() -> set[str]:
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return found - {"__init__", "__main__"}


def test_every_room_has_its_place():
    assert rooms() <= layers()


def test_whoever_contributes_is_told_of_every_room():
    shown = (ROOT / "CONTRIBUTING.md").read_text().split("```")[3]
    assert rooms() <= set(re.findall(r"\w+", shown))

"""Prints the lock: every distribution that qa-monitor, its tests and its build need, pinned.

It walks the metadata of what is installed, so that it states versions that were tried together.
What the build of torch needs beside (the CUDA libraries of one build, nothing of another) is left
to torch itself, which pins it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

_LEFT_TO_TORCH = re.compile(r"nvidia-|triton|cuda-")


def main() -> None:
    """Walk from the project's own requirements and print the pins in order of name."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    wanted = [Requirement(text) for text in project["project"]["dependencies"]]
    wanted += [Requirement(text) for text in project["project"]["optional-dependencies"]["test"]]
    wanted += [Requirement(text) for text in project["build-system"]["requires"]]
    wanted.append(Requirement("editables"))
    pins: dict[str, str] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        requirement = wanted.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        extras = frozenset(requirement.extras)
        if (name, extras) in done or _LEFT_TO_TORCH.match(name):
            continue
        done.add((name, extras))
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            sys.exit(f"{requirement.name} is not installed; install it, then lock again")
        pins[name] = found.version.partition("+")[0]
        for text in found.requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in (*extras, "")
            ):
                wanted.append(needed)
    print("# Made by `make lock`; torch is chosen in the Makefile.")
    for name in sorted(pins):
        print(f"{name}=={pins[name]}")


if __name__ == "__main__":
    main()

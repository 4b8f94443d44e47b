"""Puts the models into the wheel, without the text that trained them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """What the build asks for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the model files; an editable install reads them where they lie."""
        if version == "editable":
            return
        models = Path(self.root) / "models"
        build_data["force_include"].update(
            {
                str(path): f"qa_monitor/_models/{path.relative_to(models)}"
                for path in sorted(models.rglob("*"))
                if path.is_file() and "calls" not in path.relative_to(models).parts
            }
        )

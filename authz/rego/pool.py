"""The table of everything that generated code names but does not spell out.

Owns minted names for constants (`K4`), built-ins (`B2`), locations (`L9`) and places in the
document tree (`P1`). Knows nothing of plans or text layout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from authz.rego.nodes import Location
from authz.rego.program import Path
from authz.rego.render import to_text
from authz.rego.values import Value


@dataclass(slots=True)
class Pool:
    """INVARIANT: equal content gets one name, so the generated text is deterministic and small."""

    constants: list[Value] = field(default_factory=list)
    builtins: list[str] = field(default_factory=list)
    locations: list[Location] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)
    _known: dict[object, str] = field(default_factory=dict)

    def constant(self, value: Value) -> str:
        """Return the name of a constant; numbers of equal value but other text stay apart."""
        return self._name("K", self.constants, value, to_text(value))

    def builtin(self, name: str) -> str:
        return self._name("B", self.builtins, name, name)

    def location(self, location: Location) -> str:
        return self._name("L", self.locations, location, location)

    def place(self, path: Path) -> str:
        return self._name("P", self.places, path, path)

    def table(self, content: Any) -> str:
        """Return the name of an index; every one is its own."""
        self.tables.append(content)
        return f"T{len(self.tables) - 1}"

    def _name(self, prefix: str, table: list[Any], item: object, key: object) -> str:
        known = self._known.get((prefix, key))
        if known is None:
            known = self._known[(prefix, key)] = f"{prefix}{len(table)}"
            table.append(item)
        return known

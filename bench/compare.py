"""Two result files side by side: `python -m bench.compare BEFORE.json AFTER.json`.

Prints the ratio of every figure. It judges nothing: whether more is better depends on the figure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.record import read
from bench.report import flat


def main(arguments: list[str]) -> int:
    """Compare two files; 2 for a wrong call, a file that cannot be read, or two different benches."""
    if len(arguments) != 2:
        print((__doc__ or "").partition("\n")[0], file=sys.stderr)
        return 2
    try:
        before, after = (read(Path(name)) for name in arguments)
    except (OSError, ValueError, TypeError) as error:
        print(f"bench.compare: {error}", file=sys.stderr)
        return 2
    if before.name != after.name:
        print(f"bench.compare: `{before.name}` and `{after.name}` are different benches", file=sys.stderr)
        return 2
    table = Table(title=f"{before.name}: {before.commit} → {after.commit}", title_justify="left")
    for column in ("", "before", "after", "after / before"):
        table.add_column(column, justify="right" if column else "left")
    old, new = dict(flat(before.figures)), dict(flat(after.figures))
    for name in (name for name in old if name in new):
        ratio = f"{new[name] / old[name]:.2f}" if old[name] else ""
        table.add_row(name, f"{old[name]:,.2f}", f"{new[name]:,.2f}", ratio)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

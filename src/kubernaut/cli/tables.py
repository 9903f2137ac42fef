"""Lists on a terminal: a table where it fits, and else each row as a few lines, for nobody reads a cell that is folded six times."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP: Final = 2


def show(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of as many cells as there are columns; the first one is the name."""
    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    if console.is_terminal and sum(widths) + GAP * (len(widths) - 1) > console.width:
        _blocks(console, columns, rows)
        return
    console.print(Text(_line(columns, widths), style="dim"), soft_wrap=True)
    for row in rows:
        console.print(Text(_line(row, widths)), soft_wrap=True)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * GAP).join(cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _blocks(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row below its name, a line for each cell that says something."""
    width = max(map(cell_len, columns[1:]))
    for name, *cells in rows:
        console.print(Text(name, style="bold"), soft_wrap=True)
        for column, cell in zip(columns[1:], cells, strict=True):
            if cell:
                console.print(Text(f"  {column.casefold():<{width}}  ", style="dim").append(cell, style="default"), soft_wrap=True)

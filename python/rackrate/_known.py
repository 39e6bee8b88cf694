"""What is known, as tables with sources, and how far predictions lie from measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackrate import _core, _files, _overlay
from rackrate._answer import Rows
from rackrate._overlay import OverlayLike, Table
from rackrate._types import Catalog, Scenario, ValidationKind, ValidationReport

if TYPE_CHECKING:
    import os


def catalog(*, overlay: OverlayLike | None = None) -> Catalog:
    """Give everything known: GPUs, shapes, fabrics, prices and models, each row with source, date and confidence.

    Args:
        overlay: Your own data laid over it: a dict of tables such as ``{"prices": "mine.csv"}``, each the path of a CSV
            file or of a JSON file with a list of rows, CSV text, a list of dicts, a pandas, polars or Arrow frame (NaN
            and None are empty cells), or what `table` gave; or the path of a JSON file that holds tables by name. A row
            replaces the one with the same key, whole, or is added; the columns are those that `table` shows. A loop
            over many calls is quickest with text: frames are read anew by each.

    Raises:
        RackrateError: Something in the overlay, named by its cell: ``overlay.prices[3].usd_per_gpu_hour``.
        OSError: A file of the overlay cannot be read.
    """
    return Catalog._read(_core.catalog(_overlay.read(overlay)))


def table(name: str, *, overlay: OverlayLike | None = None) -> Table:
    """Give one table of the catalogue in the columns of an overlay: a template for one's own.

    ``core/data/README.md`` in the source explains the columns.

    Args:
        name: The table, such as ``prices``.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: No such table; something in the overlay.
        OSError: A file of the overlay cannot be read.
    """
    return Table(name, _core.table(name, _overlay.read(overlay)))


def validate(
    kind: ValidationKind,
    path: str | os.PathLike[str],
    *,
    by: str | None = None,
    overlay: OverlayLike | None = None,
) -> ValidationReport:
    """Put predictions beside a table of measurements, with error statistics.

    Args:
        kind: What the table is about: ``training``, ``inference`` or ``collectives``.
        path: A CSV file with a header line.
        by: A column whose values form groups with statistics of their own.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: The file is no such table: with line and column.
        OSError: The file cannot be read.
    """
    text = _files.read_text(path, "path")
    return ValidationReport._read(_core.validate(kind, text, by, _overlay.read(overlay)))


def scenarios() -> Rows[Scenario]:
    """List the built-in scenarios: questions that `plan` answers by name."""
    return Rows(Scenario._read(scenario) for scenario in _core.scenarios())

"""A sweep: one call over the grid that its axes span, answered with NumPy arrays and the cells that have no number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from rackrate import _core, _files, _overlay, _sections
from rackrate._answer import Answer, Rows, frozen, plain
from rackrate._asking import given, opened, refusing
from rackrate._errors import RackrateError
from rackrate._types import SweepRefusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rackrate._overlay import OverlayLike
    from rackrate._types import SweepCall

SHOWN: Final = 60


def keywords_of_sweep(request: object) -> object:
    """Let the core judge a sweep's keywords alone: its axes are a dict here and a list there."""
    asked = dict(request) if isinstance(request, Mapping) else {}
    return _core.sweep({**asked, "axes": []} if "axes" in asked else asked)


@refusing(keywords_of_sweep)
def sweep(
    call: SweepCall,
    base: Mapping[str, Any],
    *,
    axes: Mapping[str, Sequence[Any] | npt.NDArray[Any]],
    outputs: Sequence[str],
    overlay: OverlayLike | None = None,
) -> Sweep:
    """Ask one call over a grid: each output is an array of the grid's shape, NaN where the call refuses.

    Args:
        call: The call: ``training_step``, ``serving_point`` or ``collective``.
        base: Its request as a dict; an axis replaces the field that it names, which may also be missing here.
        axes: Paths of the request's fields, such as ``gpus`` or ``layout.tp``, with the values they take; the last
            turns fastest. A grid has at most a million cells.
        outputs: Paths of numbers in the call's answer, such as ``step_seconds`` or ``memory.total_gib``.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it. To compare overlays, leave it out
            and let an axis ``overlay`` take them.

    Raises:
        RackrateError: No such call, field or output; an empty axis; an error that every cell shares.
    """
    if not isinstance(axes, Mapping):
        message = f"axes: {type(axes).__name__} given, a dict of fields with their values expected"
        raise RackrateError("wrong_type", "axes", message)
    if isinstance(base, Mapping):
        base = opened(base)
    grid = [{"field": field, "values": listed(field, values)} for field, values in axes.items()]
    told = _core.sweep(given(call=call, base=base, axes=grid, outputs=outputs, overlay=overlay))
    return Sweep._read(axes, told)


def listed(field: str, values: object) -> object:
    """Give an axis's values as the core takes them: ranges as lists, files of models and overlays as their content."""
    if isinstance(values, range):
        return list(values)
    if isinstance(values, (list, tuple)):
        if field == "model":
            return [_files.model(value) for value in values]
        if field == "overlay":
            return [_overlay.read(value) for value in values]
        if field.startswith("overlay."):
            return [_overlay.table(value, field) for value in values]
    return values


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Sweep(Answer):
    """The numbers asked for over a grid.

    Attributes:
        axes: Fields and the values they took, slowest first.
        values: An array of the grid's shape for each output, in the unit of the answer's field; NaN where refused.
        refused: The cells that are NaN, each with its index and its error.
    """

    axes: Mapping[str, tuple[Any, ...]]
    values: Mapping[str, npt.NDArray[np.float64]]
    refused: Rows[SweepRefusal]

    @classmethod
    def _read(cls, axes: Mapping[str, Any], given: Mapping[str, Any]) -> Sweep:
        for array in given["values"].values():
            array.setflags(write=False)
        return cls(
            axes={field: tuple(plain(values)) for field, values in axes.items()},
            values=given["values"],
            refused=Rows(SweepRefusal._read(refusal) for refusal in given["refused"]),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(len(values) for values in self.axes.values())

    def to_dict(self) -> dict[str, Any]:
        """Give the answer as JSON would hold it: flat lists in row-major order, None where refused."""
        return {
            "shape": list(self.shape),
            "axes": [{"field": field, "values": plain(values)} for field, values in self.axes.items()],
            "outputs": [{"name": name, "values": flat(array)} for name, array in self.values.items()],
            "refused": self.refused.to_dict(),
        }

    def records(self) -> list[dict[str, Any]]:
        """Give one row for each cell: its place on the axes, its numbers, and why it was refused if it was.

        An output that has the name of an axis stands under ``answer.<name>``.
        """
        return list(self._cells())

    def _cells(self) -> Iterator[dict[str, Any]]:
        reasons: dict[tuple[int, ...], str] = {}
        for refusal in self.refused:
            index = tuple(refusal.index.tolist())
            told = reasons.get(index)
            reasons[index] = f"{told}; {refusal.error.message}" if told else refusal.error.message
        columns = [f"answer.{name}" if name in self.axes else name for name in self.values]
        indices = itertools.product(*(range(size) for size in self.shape))
        places = itertools.product(*self.axes.values())
        numbers = zip(*(array.flat for array in self.values.values()), strict=True)
        for index, place, row in zip(indices, places, numbers, strict=True):
            cells = (None if math.isnan(number) else float(number) for number in row)
            yield {
                **dict(zip(self.axes, place, strict=True)),
                **dict(zip(columns, cells, strict=True)),
                "refused": reasons.get(index),
            }

    def _sections(self) -> list[_sections.Section]:
        first = list(itertools.islice(self._cells(), SHOWN))
        cells = math.prod(self.shape)
        note = (f"The first {SHOWN} of {cells:,} cells.",) if cells > SHOWN else ()
        return [_sections.Section("Sweep", note, _sections.of_records(first))]

    def __repr__(self) -> str:
        grid = " × ".join(f"{len(values)} {field}" for field, values in self.axes.items())
        refused = f", {len(self.refused)} refused" if self.refused else ""
        return f"<Sweep {grid}: {', '.join(self.values)}{refused}>"

    def __eq__(self, other: object) -> bool:
        # Not by tuples as other answers: NaN is no number's equal, but a refused cell is a refused cell's.
        if not isinstance(other, Sweep):
            return NotImplemented
        return (
            list(self.values) == list(other.values)
            and frozen(self.axes) == frozen(other.axes)
            and frozen(self.refused) == frozen(other.refused)
            and all(np.array_equal(array, other.values[name], equal_nan=True) for name, array in self.values.items())
        )

    def __hash__(self) -> int:
        return hash((frozen(self.axes), tuple(self.values), frozen(self.refused)))


def flat(array: npt.NDArray[np.float64]) -> list[float | None]:
    """Give an array as a flat list, None for NaN."""
    return [None if math.isnan(number) else number for number in array.ravel().tolist()]

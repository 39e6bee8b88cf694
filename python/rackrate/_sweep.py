"""A sweep's answer: NumPy arrays over the grid that its axes span, and the cells that have no number."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from rackrate import _sections
from rackrate._answer import Answer, Rows, frozen, plain
from rackrate._types import SweepRefusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHOWN: Final = 60


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

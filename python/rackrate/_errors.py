"""The exception that a refused request raises."""

from __future__ import annotations


class RackrateError(ValueError):
    """A request was refused: which field, what was given, what is allowed.

    Attributes:
        code: Stable name of the kind of error, such as ``unknown_name`` or ``out_of_range``; the same on every face.
        field: Path of the field at fault, such as ``training.layout.tp``; empty for the whole request.
        message: One line that a person can act on; also what ``str()`` gives.
        hint: The nearest thing that would have been accepted, where there is one.
    """

    def __init__(self, code: str, field: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[RackrateError], tuple[str, str, str, str | None]]:
        return type(self), (self.code, self.field, self.message, self.hint)

    def to_dict(self) -> dict[str, str | None]:
        """Give ``{code, field, message, hint}``, as every face passes an error on."""
        return {"code": self.code, "field": self.field, "message": self.message, "hint": self.hint}

"""Errors of the library: each is a ChurnError and a built-in exception.

Catch ``ChurnError`` for all of them, or the built-in (``ValueError``, ``KeyError``, ...) as usual.
The message names the place: ``events.value[1041]: expected a finite number, got NaN``.
"""


class ChurnError(Exception):
    """Something is wrong at a place that is named.

    Attributes:
        kind: the kind of mistake, e.g. ``"InvalidValue"``; the same word in Rust and C.
        what: the column, setting or place in a document, e.g. ``"events.value"``.
        row: the row, counted from 0, or None.
        line: the line of a document, counted from 1, or None.
        expected: what would have been right.
        got: what was found instead.
    """

    kind: str = "Error"

    def __init__(
        self,
        message: str = "",
        *,
        what: str = "",
        row: int | None = None,
        line: int | None = None,
        expected: str = "",
        got: str = "",
    ) -> None:
        super().__init__(message)
        self.what = what
        self.row = row
        self.line = line
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        # KeyError would print the message in quotes.
        return str(self.args[0]) if self.args else ""


class InvalidParameterError(ChurnError, ValueError):
    """A setting lies outside its domain."""

    kind = "InvalidParameter"


class LengthMismatchError(ChurnError, ValueError):
    """Columns or tables that belong together differ in length."""

    kind = "LengthMismatch"


class InvalidValueError(ChurnError, ValueError):
    """A cell holds a value that it may not hold."""

    kind = "InvalidValue"


class UnknownNameError(ChurnError, KeyError):
    """A name (feature, segment, action, channel, column) is not known."""

    kind = "UnknownName"


class NotEnoughDataError(ChurnError, ValueError):
    """There are fewer rows than the method needs."""

    kind = "NotEnoughData"


class NotConvergedError(ChurnError, RuntimeError):
    """An iterative method did not reach its tolerance."""

    kind = "NotConverged"


class MisalignedError(ChurnError, ValueError):
    """Two tables speak of different customers or different instants."""

    kind = "Misaligned"


class InfeasibleError(ChurnError, RuntimeError):
    """No answer satisfies all constraints."""

    kind = "Infeasible"


class CancelledError(ChurnError, RuntimeError):
    """The progress callback returned False.

    Ctrl-C raises ``KeyboardInterrupt`` as everywhere in Python.
    """

    kind = "Cancelled"

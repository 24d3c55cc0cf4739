"""The bar of ``progress=True``: tqdm's where it is installed, else one line of text per step."""

import importlib
import sys
import time
from typing import Any


class Bar:
    """Called with (step, done, total)."""

    def __init__(self) -> None:
        self._step: tuple[str, int] | None = None
        self._began = 0.0
        self._bar: Any = None
        try:
            self._tqdm: Any = importlib.import_module("tqdm.auto").tqdm
        except ImportError:
            self._tqdm = None

    def __call__(self, step: str, done: int, total: int) -> None:
        if (step, total) != self._step:
            self.close()
            self._step, self._began = (step, total), time.monotonic()
            if self._tqdm is not None:
                self._bar = self._tqdm(total=total or None, desc=step, unit_scale=True)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        else:
            share = f"{done / total:4.0%}" if total else f"{done}"
            self._write(f"\r{step:<24}{share}{time.monotonic() - self._began:9.1f} s")

    def close(self) -> None:
        """Ends the open step, which keeps the count that it reached."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif self._step is not None:
            self._write("\n")
        self._step = None

    @staticmethod
    def _write(text: str) -> None:
        # A program without a console has no stderr.
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()

"""`python -m monosem_tui.cli`: the console script, as torchrun starts it."""

from __future__ import annotations

from monosem_tui.entry import main

if __name__ == "__main__":
    main()

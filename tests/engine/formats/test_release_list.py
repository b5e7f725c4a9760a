"""No release in sae-lens's own list is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release_list import REFUSED, outcome, releases


@pytest.mark.slow
def test_every_release_is_read_or_refused_by_name(tmp_path: Path) -> None:
    found = releases()
    if not found:
        pytest.skip("needs sae-lens's list (make bench installs it)")
    outcomes = {one.name: outcome(one, tmp_path) for one in found}
    assert {name: one for name, one in outcomes.items() if one.startswith("unknown")} == {}
    assert all((outcomes[one.name] == "refused") == (one.loader in REFUSED) for one in found)

"""The terminal app: screens as text, keys as messages, bytes on the wire.

The screens under goldens/ are compared as text. To renew them after a change that is meant, look at the difference
that `UPDATE_GOLDENS=1 pytest tests/tui` leaves in git.
"""

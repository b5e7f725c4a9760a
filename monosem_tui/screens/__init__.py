"""The screens of the app and their parts: which widgets are shown, which keys they have, what is read and when.

A screen is its base class and a list of parts (`part`); each part owns the keys, the refusals, the session state and
the way back of what its module is named after. Lines are drawn in `monosem_tui.pages`, keys are listed in
`monosem_tui.keys`.
"""

"""The screens of the app and their parts: which widgets are shown, which keys they have, what is read and when.

A screen is its base class and a list of parts (`part`); each part owns the keys, the refusals, the session state and
the way back of what its module is named after. Lines are drawn in `monosem_tui.pages`, keys are listed in
`monosem_tui.keys`.

`SCREENS` in `monosem_tui.app` names the class of each view; a screen is created when first shown, kept alive, and
created again when another run is opened. Screens share a `Session` and post messages to the app: `ViewWanted`,
`RunChosen`, `FeaturesChosen`. A command typed after `:` is a frozen dataclass (`model.command_line`) for one screen:
that screen is shown, then its `obey` runs it. To add a screen, add a `View`, a `Where`, its actions, and a row of
`SCREENS`.

Find searches in a child process (`store.query.find_process`), which reports four times per second at most; Escape kills
it, and the kernel ends it with the app. Live draws new tokens at most 20 times per second. An inspected text takes two
requests: the sixteen strongest features of every token at once, the effects of ablating five when wanted. Runs and
Health follow a training by run.json and events.jsonl alone, once per second at most and only while they are shown.
"""

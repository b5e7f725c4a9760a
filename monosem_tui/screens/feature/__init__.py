"""The list of features with the page of one of them, as Browse and Find show it: `pane` composes the other modules.

Each of these owns the keys of what it is named after: the page, its examples, the trail of features followed,
documents, notes and n-grams. Which features are listed, and in which order, is left to the screens.
"""

"""Reading text: corpora of documents from files, the Hub, the standard library or a generator, and their order.

Text ends here: tokens and contexts are engine.data.

Documents are numbered from 0. White space alone is not a document, and a document of more than 65 536 characters is
split at white space. Every 20th text (19, 39, …) is held out of training, of `monosem lm` too; evaluation uses only
those. A corpus of fewer than 20 texts holds none out, and the report says so. The order is a seeded shuffle, another
one each epoch.
"""

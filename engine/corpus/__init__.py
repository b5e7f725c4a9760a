"""Reading text: corpora of documents from files, the Hub, the standard library or a generator, and their order.

Text ends here: tokens and contexts are engine.data.
"""

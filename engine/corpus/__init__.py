"""Reading text: corpora of documents from files, the Hub or the standard library, and the order they are shown in."""

"""Features as files: pages in Markdown, HTML and JSON, tables, Neuronpedia batches, a browser without a server.

Pages and pictures get names that no file has yet (`O_EXCL`, then an atomic write). Markdown and HTML come from the same
`model.feature_document.Document`, JSON is that of `monosem show --json`. Folders (HTML, Neuronpedia) are written under
a temporary name and renamed at the end.
"""

"""Features as files: pages in Markdown, HTML and JSON, tables, Neuronpedia batches, a browser without a server."""

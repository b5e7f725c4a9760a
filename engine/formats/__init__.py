"""Autoencoders of other libraries, read and written.

A format is one module with an `Importer`: it recognises its files, and reads them into a `Foreign`, which says in one
vocabulary what the tensors are and how they are meant. `folding` turns that, exactly, into one of our architectures;
`check` measures the result. A further format is a module, a line in `registry`, and a test.

`hook_names` maps other libraries' names to our sites. An import's run.json has `config["train"]` with model, site, text
and context only, so that everything that reopens a run finds them, and `config["import"]` with source, conventions,
what was folded, what the source states about BOS, and the self-check. docs/formats.md lists what was tested against
what.
"""

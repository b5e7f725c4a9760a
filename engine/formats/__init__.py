"""Reading autoencoders of other libraries.

A format is one module with an `Importer`: it recognises its files, and reads them into a `Foreign`, which describes
tensors and conventions in one vocabulary. `fold` converts that exactly into one of our architectures; `self_check`
measures the result. To add a format, write a module, a line in `registry`, and a test. Writing other formats is
engine.commands.export_sae.

`hook_names` maps other libraries' names to our sites. An import's run.json has `config["train"]` with model, site, text
and context only, so that everything that reopens a run finds them, and `config["import"]` with source, conventions,
what was folded, what the source states about BOS, and the self-check. docs/formats.md lists what was tested against
what.
"""

"""Reading autoencoders of other libraries.

A format is one module with an `Importer`: it recognises its files, and reads them into a `Foreign`, which describes
tensors and conventions in one vocabulary. `fold` converts that exactly into one of our architectures; `self_check`
measures the result. To add a format, write a module, a line in `registry`, and a test. Writing other formats is
engine.commands.export_sae.
"""

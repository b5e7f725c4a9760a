"""Autoencoders of other libraries, read and written.

A format is one module with an `Importer`: it recognises its files, and reads them into a `Foreign`, which says in one
vocabulary what the tensors are and how they are meant. `folding` turns that, exactly, into one of our architectures;
`check` measures the result. A further format is a module, a line in `registry`, and a test.
"""

"""Reading and writing files: errors that users can act on, atomic writes, sealed HDF5 files, arrays read in place.

Also the rules for files from strangers (`regular_file`) and for files that a person names (`output_file`). Knows
nothing of runs, features or models; everything else in `store` reads and writes through it.
"""

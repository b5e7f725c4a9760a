"""All features of a run as files: tables, Neuronpedia's batches, a browser for people without a terminal."""

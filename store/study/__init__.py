"""The figures of a study: gathered from the folders of its runs, without a model; how they are made is engine's."""

"""Maps of features: a place in the plane for each, clusters with names, and the file that keeps them beside a run.

engine.feature_map lays them out; filters and screens read them without torch.
"""

"""Map: all features as points: density against maximum, and decoder directions as `monosem map` lays them out.

Each module owns the keys of what it is named after: the crosshair, the picture, colours, filter, box, card.
"""

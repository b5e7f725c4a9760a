"""The generated corpus whose concepts are known: lexicon, grammar, documents and the spans of their concepts.

Concepts per token, and scoring features against them, are engine.evaluation.
"""

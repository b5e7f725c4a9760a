"""The generated corpus whose concepts are known: lexicon, grammar, documents, and concepts per token.

Scoring features against those concepts is `engine.evaluation`.
"""

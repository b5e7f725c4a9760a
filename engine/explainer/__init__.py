"""Explanations of features by a language model, and the tests that such an explanation has to pass.

`excerpts` draws texts from the index: those that the explainer sees come from one half of the documents, those that
its explanation is judged on from the other. `prompts` asks for a sentence and a pattern, `hypotheses` reads them from
an answer that may be anything. `judgements` asks a judge about one text at a time, `verdicts` reads yes, no or a
probability from its answers, `judge_scores` makes figures with intervals of them.
"""

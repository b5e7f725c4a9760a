"""Two dictionaries on the same text: best partners by correlation over units, and what chance alone would give.

A value of a feature at a unit (store.query.text_units) is the largest of its tokens'. All pairs that fire together come
from one sparse product of the two stores' postings, in blocks of features; nothing is ever dense but one block's pairs.
Partners are chosen on one half of the documents and measured on the other.
"""

"""The feature index: every activation by token and by feature, written in segments, merged into features.h5, and read.

Questions that need more than one slice of it (filters, examples, find) are in `store.query`.

Datasets of features.h5, for N tokens, F features, V vocabulary tokens and nnz activations, all little-endian:

    corpus/tokens                       N int32           vocabulary ids, BOS included
    corpus/counted                      N bool            False where a position does not count
    corpus/role                         N uint8           whose turn a token is (store.settings.roles), of conversations
    corpus/outliers                     Q int64           places of outlier tokens, where there are any
    corpus/contexts/{start,length,document}               per context as the model read it
    corpus/documents/{start,id}                           per document part: its first token, and the document's number
    corpus/text/{skipped,length}        N int32           bytes of the original text between a token and the one before,
                                                          and of the token: see `text_spans`, as for the next two
    corpus/text/start                   C int64           the byte where the text of a context begins
    corpus/text/{bytes,digest}          R int64, R×16     of each document part: length and digest of its text
    vocab/strings, vocab/offsets        bytes, V+1        the bytes of every token
    forward/indptr, feature, act        N+1 int64, nnz uint16, nnz float16     by token, ascending by feature
    forward/feature_high                nnz uint8         upper bits of `feature`, with more than 65 536 features
    inverted/indptr, token, act         F+1 int64, nnz uint32, nnz float16     by feature, descending by act, then token
    feature/{count,max,sum,quantiles,top_token,top_sum}   from the activations
    feature/exponent                    F int8            e in activation = stored · 2^e; absent where all are 0
    feature/{decoder_norm,logit_{top,bottom}_{id,value},neighbour_{id,cosine}}    from the weights: F, F×10
    feature/logit_histogram             F×40 uint16/32    vocabulary in equal bins from least to largest logit effect
    feature/neuron_{id,cosine}          F×10              the most aligned MLP neurons, where the site has any
    sae/*                                                 the weights

An activation is active if it is above zero as stored, a float16 times its feature's power of two (`exponents`); values
above 65 504 times that are stored as that and counted in the attribute `clipped`. An entry costs 10 bytes (11 with
`feature_high`). Slices of the inverted order descend, so the strongest entries, any interval and the histogram are
reads of one slice. Pages leave out columns that an older file lacks.

How it is built, in one pass (engine.indexing):

- A segment has the same datasets for its own contexts. Entries are sorted in a thread as they arrive, packed into one
  64-bit integer each: feature, inverted bits of the activation, token.
- `segment_writer` seals a segment in another thread while the next is collected. A segment ends when its share of the
  memory setting is used, two segments counted, or after half a minute at first and five minutes later: the most that a
  kill can cost. Ctrl-C and SIGTERM seal what is there.
- `merge` takes features in groups of at most 128 MiB, sorts one while it writes the one before, and holds neither open
  files nor whole segments. A feature too large for a group is divided by value. Sums are in units of 2⁻²⁴, so the order
  of addition does not matter.
- So features.h5 is the same to the byte whatever the memory, the segments and the interruptions. The plan in common.h5
  (text, order, contexts, model, weights) defines "the same settings"; memory is not part of it.
- The index folder is renamed before it is removed. If a process dies between the two renames, readers take features.h5
  and the next `monosem index` or `merge` removes the segments. A partial features.h5 records in its plan how much was
  wanted; `--resume` continues, and the complete file replaces it.

A reader is a snapshot that never changes. `grown()` returns the next one, which shares the open segments;
`growth.Watch` says, for two calls of stat, when that is worthwhile.
"""

"""Words of the field and of the app that no screen shows as a figure."""

from __future__ import annotations

from monosem_tui.terms.term import Term

WORDS = (
    Term(
        "active", "an activation above zero as stored: a float16, times a power of two where the model's values need it"
    ),
    Term("architecture", "the kind of an autoencoder (`topk`, `jumprelu`, …): how it encodes, and its loss"),
    Term("AuxK", "the auxiliary loss in which dead features explain what the others left over"),
    Term("block", "a fixed number of contexts or rows that is read, shuffled and held out as a whole"),
    Term("BOS", "the token that opens a document or context. It never counts"),
    Term("cache", "a copy kept to answer faster, never the only copy"),
    Term("checkpoint", "a file with everything that the next training step depends on"),
    Term("client", "a terminal connected to the model server. The one that sent the last request is active"),
    Term("context", "a stretch of tokens that the model reads at once"),
    Term("corpus", "documents numbered from 0, read again from the start as often as needed"),
    Term("counted token", "a token that training, index and figures include; BOS and padding are excluded"),
    Term("dictionary", "the trained autoencoder seen as a set of features"),
    Term("document", "one text of a corpus"),
    Term("end (exclusive)", "the first position after a range; all ranges are half-open"),
    Term(
        "feature",
        "one latent of an autoencoder: a row of `W_dec` with its encoder column. *Latent* is a synonym, not used here",
    ),
    Term("field", "a named setting of a command. On the command line `d_sae` is `--d-sae`"),
    Term("filter", "a condition on features, as typed after `/` or in `show --filter`"),
    Term("half-open range", "includes its start and excludes its end"),
    Term("held out", "never trained on: every 20th text, with all its pieces, or block of rows"),
    Term("index", "every activation of every feature on a text, by token and by feature"),
    Term("job", "one piece of work with its settings, before and while it runs"),
    Term(
        "judge", "a language model that tells from an explanation alone whether a text, or its marks, are the feature's"
    ),
    Term("merge", "segments joined into one features.h5"),
    Term("neuron", "one dimension of an MLP's hidden layer, a baseline for features"),
    Term("note", "a label, bookmark, comment or tag that a person gave a feature"),
    Term("ordinary token", "a counted token that is not an outlier"),
    Term("page", "everything about one feature, as lines"),
    Term("postings", "the entries of one feature in the index, strongest first: token and activation"),
    Term("provenance", "what is needed to repeat a run: versions, digests, seed, hardware"),
    Term("request", "one JSON line from a client to the model server"),
    Term(
        "rule", "a predicate over tokens that the index decides alone, as `explain` finds and `find --rule` takes them"
    ),
    Term("run", "a folder with the results of one training or import"),
    Term("sealed file", "an HDF5 file whose first 512 bytes state its kind, version, length and SHA-256"),
    Term("segment", "an immutable file that holds the index of some contexts"),
    Term("server", "the process that holds the language model and answers requests"),
    Term("site", "a place in the model, such as `resid_post` of a layer"),
    Term("spec", "the shape and place of a dictionary: model, layer, site, architecture, d_in, d_sae, k"),
    Term("store", "an opened index; also the package that reads and writes files"),
    Term("subject", "a model, its site, and a corpus cut into contexts"),
    Term("trail", "the features followed from one to the next, with a way back"),
    Term("transcoder", "a dictionary that reads one site and reconstructs a later one"),
    Term("transcript", "the texts that the server writes, with the figures of each token"),
    Term("vocabulary", "the bytes of every token, kept in the store so that browsing needs no tokenizer"),
)

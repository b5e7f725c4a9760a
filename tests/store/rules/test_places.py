"""Predicates against their definitions token by token, states of marked texts, the round trip of the grammar."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.rules import places
from store.rules.grammar import LANGUAGES, NAMES, TOKEN_CLASSES, BadRule, Predicate, Rule, Term, parse_rule
from store.rules.places import RuleCorpus
from store.settings.roles import ROLES
from tests.store.rules.corpora import TEXTS, SlowTruth, pieces, text_store

SHORT = st.sampled_from(
    [" the", "the", "Mary", " dog", "sea", " said", "e", "12", " ", "\n", "日本", '"', "\\", "END", "S"]
)
TOKEN = st.sampled_from([" the", "the", "Mary", " dog", "\n", ".", "\ufffd"]) | st.integers(0, 5)
OF_TOKEN = st.one_of(
    st.builds(lambda args: Predicate("token", tuple(args)), st.lists(TOKEN, min_size=1, max_size=3)),
    st.builds(
        lambda name, args: Predicate(name, tuple(args)),
        st.sampled_from(["word", "starts", "ends"]),
        st.lists(SHORT, min_size=1, max_size=3),
    ),
    st.builds(lambda text: Predicate("match", (text,)), st.sampled_from(["^ ?[A-Z]", "e$", "."])),
    st.builds(
        Predicate, st.sampled_from(["digits", "capital", "capitals", "punctuation", "space", "newline", "spaced"])
    ),
)
PREDICATE = st.one_of(
    OF_TOKEN,
    st.builds(lambda n, one: Predicate("at", (n, one)), st.integers(-3, 3), OF_TOKEN),
    st.builds(lambda n, one: Predicate("within", (n, one)), st.integers(1, 6), OF_TOKEN),
    st.builds(lambda one: Predicate("document", (one,)), OF_TOKEN),
    st.builds(
        lambda lists: Predicate("ngram", tuple(tuple(one) for one in lists)),
        st.lists(st.lists(TOKEN, min_size=1, max_size=3), min_size=1, max_size=2),
    ),
    st.builds(
        lambda lists: Predicate("phrase", tuple(tuple(one) for one in lists)),
        st.lists(st.lists(SHORT, min_size=1, max_size=3), min_size=1, max_size=2),
    ),
    st.builds(lambda first, n: Predicate("position", (first, first + n)), st.integers(0, 5), st.integers(1, 5)),
)
RULE = st.builds(
    lambda clauses: Rule(tuple(map(tuple, clauses))),
    st.lists(st.lists(st.builds(Term, PREDICATE, st.booleans()), min_size=1, max_size=3), min_size=1, max_size=3),
)


@pytest.fixture(scope="module")
def store() -> Iterator[FeatureStore]:
    with text_store(TEXTS, [], 1) as opened:
        yield opened


@settings(max_examples=120, deadline=None)
@given(rule=RULE, rare=st.sampled_from([1, 4, 10**9]))
def test_rules_hold_where_their_definitions_say(store: FeatureStore, rule: Rule, rare: int) -> None:
    corpus = RuleCorpus(store)
    places.RARE = rare
    try:
        found = corpus.rule(rule).tolist()
    except BadRule as error:
        assert "no token of the vocabulary is '\ufffd'" in error.what
        return
    assert found == SlowTruth(store).rule(rule)
    assert corpus.rule(rule).tolist() == found  # from the masks that were kept


@given(rule=RULE)
def test_a_rule_prints_as_it_is_parsed(rule: Rule) -> None:
    text = str(rule)
    assert parse_rule(text) == rule
    assert parse_rule(text.replace(" ", "  ").replace("  ", " ")) == rule or '"' in text
    assert text.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "red",
            "word",
            "word()",
            'word("a"',
            'word("a") word("b")',
            'word("a") &',
            '| word("a")',
            "position(3, 2)",
        ),
        *(
            'at(1.5, word("a"))',
            'at(99999, word("a"))',
            "at(1, quote)",
            'within(0, word("a"))',
            'language("xx")',
            'word("")',
        ),
        *(
            'role("king")',
            "ngram()",
            "ngram([])",
            'word("\\q")',
            "!",
            "token(-1)",
            'word("a")\udc80',
            "(quote)",
            'match("(")',
        ),
    ],
)
def test_errors_say_where(store: FeatureStore, text: str) -> None:
    with pytest.raises(MonosemError) as error:
        RuleCorpus(store).rule(parse_rule(text))
    assert error.value.hint or "not UTF-8" in error.value.what


def held(store: FeatureStore, text: str) -> list[str]:
    """The documents with the tokens that a rule holds on in brackets."""
    mask_N = RuleCorpus(store).rule(parse_rule(text))
    tokens = store.vocabulary.strings(store.tokens(0, store.n_tokens).tolist())
    shown = [f"[{token}]" if holds else token for token, holds in zip(tokens, mask_N.tolist(), strict=True)]
    edges = [*store.layout.documents.start.tolist(), store.n_tokens]
    return ["".join(shown[a:b]) for a, b in pairwise(edges)]


def test_states() -> None:
    """Contexts are longer than the documents here, so that every state is that of a whole document."""
    with text_store(TEXTS[:3], [], 1, context=500) as store:
        english, code, german = range(3)
        marked = {
            ("quote", english): 'said "[the][ dog][ ran][.][ It][ was][ big]" and',
            ("bracket", english): "left ([a][ cat][,][ two]).",
            ("item", english): ".\n[-][ one]\n[-][ two]\nThe",
            ("sentence_start", english): '[Mary] said "the dog ran.[ It] was big" and left (a cat, two).\n[-] one\n[-]',
            ("line_start", code): "[def] add(x):\n    [#] the sum\n   [ return]",
            ("comment", code): "    [#][ the][ sum]\n    return",
            ("string", code): "return ['][a]['] + x",
            ("document_start", german): "[Der] Hund und",
            ('sentence(word("it"))', english): 'ran. It[ was][ big]["][ and][ left][ ][(]',
            ('sentence(word("it"))', german): "[?] Yes!",
        }
        for (rule, document), text in marked.items():
            assert text in held(store, rule)[document], rule
        for rule in ("quote", "item", "comment", "string"):
            assert [i for i, text in enumerate(held(store, rule)) if "[" in text] == [code * (rule[0] in "cs")], rule
        for rule, only in (("code", code), ('language("de")', german)):
            assert [text.startswith("[") and text.rstrip()[-1] == "]" for text in held(store, rule)] == [
                i == only for i in range(3)
            ]


def test_every_predicate_is_evaluated(store: FeatureStore) -> None:
    example = {
        "texts": '"a"',
        "tokens": "0",
        "pattern": '"a"',
        "token": "digits",
        "lists": "[0, 1]",
        "words": '["a", "b"]',
        "range": "0, 3",
    }
    example |= {"offset": '1, word("a")', "window": '3, word("a")', "word": ""}
    corpus = RuleCorpus(store)
    for name, (form, _) in NAMES.items():
        arg = (
            f'"{LANGUAGES[0]}"' if name == "language" else f'"{ROLES[0]}"' if name == "role" else example.get(form, "")
        )
        rule = parse_rule(f"{name}({arg})" if form else name)
        if name == "role":
            with pytest.raises(MonosemError, match="no conversations"):
                corpus.rule(rule)
        else:
            assert corpus.rule(rule).shape == (store.n_tokens,)
    assert "at" not in TOKEN_CLASSES
    assert len(pieces(TEXTS[0])) > 20

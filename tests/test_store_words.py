"""Words as they are searched: the same for index, query and snippet, whatever people type."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import EntityType
from qa_monitor.store.words import (
    Term,
    find_terms,
    fts5_query,
    indexed_words,
    like_pattern,
    make_snippet,
    parse_search,
    tsquery,
)

_talk = st.lists(
    st.sampled_from(["chest", "pain", "painful", "Pain,", "José", "I'm", "<PERSON_1>", "12", "—"]),
    max_size=8,
).map(" ".join)
_asked = st.lists(
    st.sampled_from(
        ["chest", '"chest pain"', "pai*", "pain", "jose", "i'm", "PERSON", '"pain chest']
    )
    | st.text(max_size=6),
    max_size=4,
).map(" ".join)


def found_in(text: str, search: str) -> list[str]:
    """The stretches of ``text`` that ``search`` finds."""
    return [text[p.start : p.end] for p in find_terms([text], parse_search(search))]


@pytest.mark.parametrize(
    ("text", "search", "found"),
    [
        ("My chest. PAIN!", "pain", ["PAIN"]),
        ("My chest. PAIN!", '"chest pain"', ["chest. PAIN"]),
        ("pain in the chest", '"chest pain"', []),
        ("José's café", "jose cafe", ["José", "café"]),
        ("Jose\u0301 here", "josé", ["Jose\u0301"]),
        ("an x-ray, and an x ray", "x-ray", ["x-ray", "x ray"]),
        ("I can't", "can't", ["can't"]),
        ("appointments and disappointment", "appoint*", ["appointments"]),
        ("call the person <PERSON_1>", "person", ["person"]),
        ("call the person <PERSON_1>", "PERSON", ["<PERSON_1>"]),
        ("call the person <PERSON_1>", "<PERSON_7>", ["<PERSON_1>"]),
        ("the id <MEMBER_ID_2>", "MEMBER_ID", ["<MEMBER_ID_2>"]),
        ("it is <PERSON_1> calling", '"<PERSON_1> calling"', ["<PERSON_1> calling"]),
        ("fish AND chips", "fish AND chips", ["fish", "AND", "chips"]),
        ("in the straße", "STRASSE", ["straße"]),
    ],
)
def test_people_find_what_they_mean(text: str, search: str, found: list[str]) -> None:
    assert found_in(text, search) == found


def test_a_short_beginning_stands_for_that_word_alone() -> None:
    assert parse_search("ba*") == (Term(("ba",)),)
    assert parse_search("bac*") == (Term(("bac",), is_prefix=True),)


def test_a_search_of_signs_alone_asks_for_nothing() -> None:
    assert parse_search(' "*" () ^ — ') == ()


def test_a_term_asked_twice_is_one_and_endless_ones_are_cut() -> None:
    assert parse_search("pain PAIN pain") == (Term(("pain",)),)
    assert len(parse_search(" ".join(f"word{n}" for n in range(500)))) == 32


def test_every_kind_of_redaction_can_be_searched() -> None:
    text = " ".join(f"<{kind.value}_1>" for kind in EntityType)
    for kind in EntityType:
        assert found_in(text, kind.value) == [f"<{kind.value}_1>"]


@pytest.fixture(scope="module")
def fts5() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE found USING fts5(words, tokenize='ascii')")
    yield connection
    connection.close()


@given(text=st.text(), search=st.text(max_size=60))
def test_the_database_takes_any_text_and_any_search(
    fts5: sqlite3.Connection, text: str, search: str
) -> None:
    fts5.execute("INSERT INTO found VALUES (?)", (indexed_words([text]),))
    if terms := parse_search(search):
        fts5.execute("SELECT rowid FROM found WHERE words MATCH ?", (fts5_query(terms),)).fetchall()
        assert "''" not in tsquery(terms)


@given(turns=st.lists(_talk, max_size=4), search=_asked)
def test_what_the_database_finds_is_what_can_be_shown(
    fts5: sqlite3.Connection, turns: list[str], search: str
) -> None:
    terms = parse_search(search)
    if not terms:
        return
    fts5.execute("DELETE FROM found")
    fts5.execute("INSERT INTO found VALUES (?)", (indexed_words(turns),))
    query = "SELECT count(*) FROM found WHERE words MATCH ?"
    (is_found,) = fts5.execute(query, (fts5_query(terms),)).fetchone()
    shown = [any(find_terms(turns, [term])) for term in terms]
    assert bool(is_found) == all(shown)
    assert (make_snippet([("caller", None, text) for text in turns], terms) is not None) == any(
        shown
    )


@given(turns=st.lists(_talk, max_size=4), search=_asked)
def test_a_phrase_pattern_finds_the_same_phrases(turns: list[str], search: str) -> None:
    spaced = f" {indexed_words(turns)} "
    for term in parse_search(search):
        pattern = like_pattern(term)
        if pattern is not None:
            assert (pattern.strip("%") in spaced) == bool(find_terms(turns, [term]))


@given(text=st.text())
def test_a_word_finds_itself(text: str) -> None:
    words = [word for word in indexed_words([text]).split(" ") if word[0] not in "§¶"]
    for word in words:
        assert Term((word,)) in parse_search(word)


def test_no_phrase_runs_from_one_turn_into_the_next(fts5: sqlite3.Connection) -> None:
    fts5.execute("DELETE FROM found")
    fts5.execute("INSERT INTO found VALUES (?)", (indexed_words(["my chest", "pain here"]),))
    query = fts5_query(parse_search('"chest pain"'))
    assert fts5.execute("SELECT * FROM found WHERE words MATCH ?", (query,)).fetchall() == []


# --- snippets ------------------------------------------------------------------------------------


def test_a_snippet_shows_the_turn_that_has_most_of_it() -> None:
    turns = [
        ("agent", 1.0, "pain here"),
        ("caller", 2.5, "a pain in the chest"),
        ("agent", None, "chest pain"),
    ]
    snippet = make_snippet(turns, parse_search("chest pain"))
    assert snippet is not None
    assert (snippet.turn_index, snippet.role, snippet.start_s) == (1, "caller", 2.5)
    assert [snippet.text[a:b] for a, b in snippet.marks] == ["pain", "chest"]
    assert not snippet.is_cut_before
    assert not snippet.is_cut_after


@given(
    before=st.lists(st.sampled_from(["so", "and", "<DATE_1>", "yesterday"]), max_size=80),
    after=st.lists(st.sampled_from(["so", "and", "<DATE_1>", "yesterday"]), max_size=80),
)
def test_a_snippet_is_short_whole_words_around_the_match(
    before: list[str], after: list[str]
) -> None:
    text = " ".join([*before, "chest", "pain", *after])
    snippet = make_snippet([("caller", 0.0, text)], parse_search('"chest pain"'))
    assert snippet is not None
    assert [snippet.text[a:b] for a, b in snippet.marks] == ["chest pain"]
    assert len(snippet.text) <= 160
    assert snippet.text in text
    assert set(snippet.text.split()) <= set(text.split())
    assert snippet.is_cut_before == (not text.startswith(snippet.text))
    assert snippet.is_cut_after == (not text.endswith(snippet.text))


@given(text=st.text(max_size=400), search=st.text(max_size=20))
def test_marks_lie_within_the_snippet_in_order_and_apart(text: str, search: str) -> None:
    snippet = make_snippet([("caller", 0.0, text)], parse_search(search))
    if snippet is None:
        return
    assert snippet.marks
    ends = [0, *(end for _, end in snippet.marks)]
    assert all(
        end <= a < b <= len(snippet.text) for end, (a, b) in zip(ends, snippet.marks, strict=False)
    )

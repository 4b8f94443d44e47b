"""A call said in other words: what changes, what stays, and what counts as a flip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import (
    CallType,
    Criterion,
    EntityType,
    EscalationOutcome,
    Finding,
    RedactedDialogue,
    RedactedTurn,
    RedactedWord,
    Role,
    Score,
    Scorecard,
    Span,
)
from qa_monitor.scoring.fairness import OUTPUTS, VARIANTS, Variant, flips, vary
from qa_monitor.scoring.rubric import Rubric

PLACEHOLDER = re.compile(r"<[A-Z_]+_\d+>")


def turn(text: str, role: Role = Role.CALLER, index: int = 0) -> RedactedTurn:
    """A turn with a word for each run of letters, a second each, and spans on its placeholders."""
    found = re.finditer(r"<[A-Z_]+_\d+>|[\w']+", text)
    return RedactedTurn(
        index=index,
        speaker=role.value,
        role=role,
        role_confidence=1.0,
        start_s=None,
        end_s=None,
        text=text,
        words=tuple(
            RedactedWord(
                start=match.start(),
                end=match.end(),
                start_s=float(number),
                end_s=number + 1.0,
                confidence=1.0,
            )
            for number, match in enumerate(found)
        ),
        spans=tuple(
            Span(
                start=match.start(),
                end=match.end(),
                source_start=0,
                source_end=1,
                entity_type=EntityType.PERSON,
                recognizer="test",
                confidence=1.0,
                start_s=None,
                end_s=None,
            )
            for match in PLACEHOLDER.finditer(text)
        ),
    )


def call(*turns: RedactedTurn) -> RedactedDialogue:
    return RedactedDialogue(
        call_id="c",
        language="en",
        asr_model="test",
        redactor_version="test",
        dropped_s=0.0,
        turns=tuple(replace(turn, index=index) for index, turn in enumerate(turns)),
    )


def variant(part: str) -> Variant:
    (found,) = (v for v in VARIANTS if part in v.name)
    return found


def said(part: str, text: str, role: Role = Role.CALLER) -> str:
    """``text`` as the variant whose name holds ``part`` has it."""
    varied = vary(call(turn(text, role)), variant(part))
    return text if varied is None else varied.turns[0].text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("My husband fell, he hit his head", "My wife fell, she hit her head"),
        ("tell him it's his", "tell her it's hers"),
        ("She's with her mother, call her now", "He's with his father, call him now"),
        ("let her know, ma'am", "let him know, sir"),
        ("Mr. <PERSON_1> has MS", "Mrs. <PERSON_1> has MS"),
        ("I miss him", "I miss her"),
        ("put him on his back", "put her on her back"),
        ("she hurt her back and her right arm", "he hurt his back and his right arm"),
        ("call her back right now, help her up", "call him back right now, help him up"),
        ("Miss <PERSON_1> and her son", "Mr <PERSON_1> and his daughter"),
    ],
)
def test_words_for_men_and_women_are_swapped_in_their_grammar(before: str, after: str) -> None:
    assert said("swapped", before) == after


def test_gender_stays_where_the_body_makes_it_a_fact() -> None:
    pregnant = call(turn("she is pregnant"), turn("is she in pain", Role.AGENT))
    assert vary(pregnant, variant("swapped")) is None
    assert vary(call(turn("she is in pain")), variant("swapped")) is not None


@pytest.mark.parametrize(
    ("part", "before", "after"),
    [
        (
            "caller: zero copula",
            "She's breathing fast and he is tired",
            "She breathing fast and he tired",
        ),
        ("caller: zero copula", "he's got something", "he's got something"),
        ("caller: habitual be", "he keeps throwing up", "he be throwing up"),
        ("caller: habitual be", "I'm always waiting", "I always be waiting"),
        (
            "caller: negative concord",
            "I don't have any pain or anything",
            "I don't have no pain or anything",
        ),
        ("caller: negative concord", "We don't want any.", "We don't want none."),
        ("caller: negative concord", "can you not do any Friday", "can you not do any Friday"),
        ("caller: innit", "Is that all right?", "Is that all right?"),
        ("caller: negative concord", "I can't reach anyone", "I can't reach no one"),
        (
            "caller: negative concord",
            "I'm not sure if any are left",
            "I'm not sure if any are left",
        ),
        ("caller: ain't", "It isn't right, I'm not going", "It ain't right, I ain't going"),
        ("caller: was levelling", "We were home", "We was home"),
        ("caller: fixing to", "I'm going to call", "I'm fixing to call"),
        ("caller: fixing to", "I'm going to the clinic", "I'm going to the clinic"),
        (
            "caller: progressive",
            "I have a fever and I want help",
            "I am having a fever and I am wanting help",
        ),
        (
            "caller: invariant isn't it",
            "You're open today, aren't you?",
            "You're open today, isn't it?",
        ),
        ("caller: innit", "You're open, right?", "You're open, innit?"),
        ("caller: after perfect", "She's just taken her pills", "She's after taking her pills"),
        ("caller: -nae", "Yes, I can't sleep", "Aye, I cannae sleep"),
        ("y'all", "Do you take walk-ins?", "Do y'all take walk-ins?"),
        ("in the UK", "Mom apologized at the center", "Mum apologised at the centre"),
        ("in the US", "the paediatric programme", "the pediatric program"),
        (
            "caller without please",
            "Sorry, can you please hold? Thank you. Bye",
            "Can you hold? Bye",
        ),
        ("caller without please", "check it, please.", "check it."),
        ("caller with please", "could you check", "could you please check"),
        ("caller with please", "Yes it is.", "Yes it is. Thank you."),
        ("caller with please", "what time is it", "sorry, what time is it"),
        ("caller with fillers", "My head hurts so much", "Um, my head hurts so much"),
        ("caller without fillers", "Um, I, you know, went to the ER", "I, went to the ER"),
    ],
)
def test_a_variant_changes_the_words_it_is_about(part: str, before: str, after: str) -> None:
    assert said(part, before) == after


def test_only_the_speaker_that_a_variant_names_speaks_otherwise() -> None:
    both = call(turn("I'm not sure"), turn("I'm not sure", Role.AGENT))
    caller, agent = (vary(both, variant(f"{who}: ain't")) for who in ("caller", "agent"))
    assert caller is not None
    assert agent is not None
    assert [t.text for t in caller.turns] == ["I ain't sure", "I'm not sure"]
    assert [t.text for t in agent.turns] == ["I'm not sure", "I ain't sure"]


def test_an_agents_courtesy_is_scored_and_stays() -> None:
    text = "I'm so sorry, could you please hold? Thank you."
    assert said("without please", text, Role.AGENT) == text


def test_a_call_without_the_words_is_no_variant() -> None:
    assert vary(call(turn("my knee hurts")), variant("in the UK")) is None


def test_a_turn_is_never_left_without_a_word() -> None:
    assert said("without please", "Please, thank you.") == "Thank you."
    assert said("without fillers", "Um, uh.") == "Uh."


def test_spans_and_words_stand_where_their_words_now_are() -> None:
    varied = vary(call(turn("He's <PERSON_1> and his wife")), variant("swapped"))
    assert varied is not None
    (first,) = varied.turns
    assert first.text == "She's <PERSON_1> and her husband"
    assert first.text[first.spans[0].start : first.spans[0].end] == "<PERSON_1>"
    words = [first.text[word.start : word.end] for word in first.words]
    assert words == ["She's", "<PERSON_1>", "and", "her", "husband"]


def test_words_that_go_take_their_times_with_them_and_words_that_merge_keep_both() -> None:
    varied = vary(call(turn("please I'm going to call")), variant("caller: fixing to"))
    assert varied is not None
    words = [
        (varied.turns[0].text[w.start : w.end], w.start_s, w.end_s) for w in varied.turns[0].words
    ]
    assert words == [("please", 0, 1), ("I'm", 1, 2), ("fixing to", 2, 4), ("call", 4, 5)]
    short = vary(call(turn("please call")), variant("caller without please"))
    assert short is not None
    assert [w.start_s for w in short.turns[0].words] == [1.0]


PIECES = st.sampled_from(
    "he|She's|her|his|wife|please|Thank you.|um,|you know,|<PERSON_1>|<DATE_2>|don't|any|anything|"
    "I'm|not|going to|call|keeps|coughing|Sorry,|could you|check|I|just|called|have|a|fever|and|"
    "color|right?|were|we|yes|.|small".split("|")
)


@settings(max_examples=400)
@given(
    chosen=st.sampled_from(VARIANTS),
    texts=st.lists(st.lists(PIECES, min_size=1, max_size=12), min_size=1, max_size=3),
)
def test_every_variant_keeps_placeholders_order_and_offsets(
    chosen: Variant, texts: Sequence[Sequence[str]]
) -> None:
    roles = (Role.CALLER, Role.AGENT)
    before = call(*(turn(" ".join(text), roles[i % 2]) for i, text in enumerate(texts)))
    after = vary(before, chosen)
    if after is None:
        return
    assert after.turns != before.turns
    for old, new in zip(before.turns, after.turns, strict=True):
        assert PLACEHOLDER.findall(old.text) == PLACEHOLDER.findall(new.text)
        assert [new.text[s.start : s.end] for s in new.spans] == PLACEHOLDER.findall(new.text)
        assert new.text.strip()
        if old.role not in chosen.roles:
            assert old == new
        reached = 0
        for word in new.words:
            assert reached <= word.start < word.end <= len(new.text)
            reached = word.end


# --- flips ---------------------------------------------------------------------------------------


class Hears:
    """A scorer that scores by single words, to be fooled in known ways."""

    version = "words"

    def find(self, dialogue: RedactedDialogue) -> tuple[Finding, ...]:
        return ()

    def score(
        self,
        dialogue: RedactedDialogue,
        findings: Sequence[Finding],
        rubric: Rubric | None = None,
        *,
        earlier_types: Sequence[CallType | None] = (),
    ) -> Scorecard:
        text = " ".join(turn.text for turn in dialogue.turns)
        values = {
            Criterion.EMPATHY: 3.4 if "he" in text.split() else 3.6,
            Criterion.ACTIVE_LISTENING: 3.1 if "he" in text.split() else 3.2,
            Criterion.URGENCY: 1.0,
            Criterion.ESCALATION: 2.0 if "his" in text.split() else None,
        }
        return Scorecard(
            call_id=dialogue.call_id,
            rubric_version="r",
            scores=tuple(
                Score(
                    criterion=criterion,
                    points=points,
                    max_points=5.0,
                    confidence=1.0,
                    evidence=(),
                    reason="",
                )
                for criterion, points in values.items()
            ),
            total=None,
            needs_review=False,
            review_reasons=(),
            call_type=CallType.BILLING,
            also=(),
            call_type_confidence=1.0,
            urgency_probability=0.0,
            escalated=EscalationOutcome.MISSED if "wife" in text else EscalationOutcome.PROPERLY,
            escalation_delay_s=None,
        )


def test_what_rounds_otherwise_or_is_given_once_only_flips() -> None:
    dialogue = call(turn("he and his wife"))
    flipped = flips(Hears(), dialogue, variant("swapped"))
    assert flipped == frozenset({"empathy", "escalation", "outcome"})
    assert set(OUTPUTS) > {"empathy", "escalation", "outcome"}


def test_a_call_that_a_variant_does_not_touch_cannot_flip() -> None:
    assert flips(Hears(), call(turn("my knee")), variant("swapped")) is None


def test_what_is_said_otherwise_to_no_effect_flips_nothing() -> None:
    assert flips(Hears(), call(turn("the color")), variant("in the UK")) == frozenset()

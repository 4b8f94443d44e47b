"""metrics: who spoke, broke in and waited comes from times; what is not known is not made up."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_records import make_record
from made_calls import ROUTINE, A, C, dialogue

from qa_monitor.calls import CallType, Contacts, Measure, Recording, RedactedDialogue, Role
from qa_monitor.scoring.metrics import (
    METRICS,
    SilenceKind,
    broken_in,
    call_measures,
    call_metrics,
    dead_air,
    find_interruptions,
    find_silences,
    interruptions,
)

Said = tuple[Role, str, float, float]


def call(*said: Said, doubtful: Sequence[int] = ()) -> RedactedDialogue:
    """Turns of (role, text, start, end)."""
    plain = dialogue([(role, text) for role, text, _, _ in said], doubtful=doubtful)
    turns = zip(plain.turns, said, strict=True)
    return replace(
        plain,
        turns=tuple(replace(turn, start_s=one[2], end_s=one[3]) for turn, one in turns),
    )


def kinds(of: RedactedDialogue) -> list[SilenceKind]:
    return [silence.kind for silence in find_silences(of)]


# --- counts, shares and seconds ------------------------------------------------------------------


def test_without_times_only_counts_are_given() -> None:
    measures = call_metrics(dialogue(ROUTINE))
    assert measures["turns"] == 9
    assert measures["agent_turns"] == 5
    assert measures["questions_by_agent"] == 3
    assert "silence_share" not in measures
    assert interruptions(dialogue(ROUTINE)) is None
    assert find_silences(dialogue(ROUTINE)) == ()


def test_questions_are_counted_also_where_nothing_is_punctuated() -> None:
    asked = "sure what is your date of birth and can you spell your last name"
    of = call((A, asked, 0, 5), (C, "<DATE_1>", 20, 21), (A, "thank you that is fine", 33, 35))
    assert call_metrics(of)["questions_by_agent"] == 2
    assert kinds(of) == [SilenceKind.CALLERS, SilenceKind.DEAD_AIR]
    punctuated = dialogue([(A, "What is your name? I know what is due. Is it you?")])
    assert call_metrics(punctuated)["questions_by_agent"] == 2


def test_an_empty_call_has_measures() -> None:
    assert call_metrics(dialogue(()))["words"] == 0
    assert dead_air(dialogue(())) == ()


def test_talk_silence_and_overlap_come_from_times() -> None:
    measures = call_metrics(
        call((C, "one two", 0, 10), (A, "three four", 8, 14), (C, "five", 26, 30))
    )
    assert measures["talk_span_s"] == 30
    assert measures["talk_s"] == 18
    assert measures["overlap_s"] == 2
    assert measures["longest_silence_s"] == 12
    assert measures["silence_share"] == pytest.approx(0.4)
    assert measures["caller_silence_share"] == pytest.approx(0.4)
    assert measures["agent_silence_share"] == 0
    assert measures["agent_talk_share"] == pytest.approx(6 / 20)
    assert measures["queue_s"] == 8
    assert measures["agent_words_per_min"] == pytest.approx(20)


def test_systems_and_interpreters_are_neither_side() -> None:
    measures = call_metrics(
        call(
            (Role.SYSTEM, "Your call is important to us.", 0, 5),
            (A, "Good morning.", 9, 11),
            (Role.INTERPRETER, "She says good morning.", 12, 14),
            (C, "Hi.", 15, 17),
        )
    )
    assert measures["other_talk_s"] == 7
    assert measures["agent_talk_share"] == pytest.approx(0.5)


def test_the_answer_time_of_the_agent_is_a_median_without_what_was_announced() -> None:
    measures = call_metrics(
        call(
            (C, "Is it ready?", 0, 2),
            (A, "Yes. Bear with me one moment.", 3, 5),
            (C, "Okay.", 5.5, 6),
            (A, "Thanks for waiting, here it is.", 50, 52),
            (C, "Thanks.", 53, 54),
            (A, "You're welcome.", 57, 58),
        )
    )
    assert measures["agent_response_latency_s"] == pytest.approx(2)


def test_a_word_between_does_not_end_a_monologue_and_an_answer_does() -> None:
    told = (A, "You take it with food.", 0, 20)
    more = (A, "And never with milk.", 21, 30)
    backchannel = call(told, (C, "Mm-hm.", 20.2, 20.8), more)
    answer = call(told, (C, "What about tea, is that all right?", 20.1, 20.9), more)
    assert call_metrics(backchannel)["agent_longest_monologue_s"] == 30
    assert call_metrics(answer)["agent_longest_monologue_s"] == 20


def test_a_long_silence_is_no_part_of_a_monologue() -> None:
    measures = call_metrics(call((A, "Bear with me.", 0, 2), (A, "Here it is.", 62, 67)))
    assert measures["agent_longest_monologue_s"] == 5


# --- who broke in --------------------------------------------------------------------------------


def test_breaking_in_is_told_with_the_turn_the_time_and_the_overlap() -> None:
    of = call(
        (C, "My knee has been", 0, 10), (A, "And your date of birth?", 8, 14), (C, "Oh.", 15, 16)
    )
    (one,) = find_interruptions(of)
    assert (one.by, one.evidence.turn_index, one.broken.turn_index) == (A, 1, 0)
    assert (one.at_s, one.overlap_s) == (8, 2)
    assert of.quote(one.evidence) == "And your date of birth?"
    assert broken_in(of) == (one.evidence,)
    assert interruptions(of) == 1
    measures = call_metrics(of)
    assert measures["agent_interruption_overlap_s"] == 2
    assert measures["caller_interruptions"] == 0


def test_the_caller_who_breaks_in_is_counted_apart() -> None:
    of = call((A, "The office opens at", 0, 10), (C, "I know all that.", 8, 14))
    assert interruptions(of) == 0
    assert call_metrics(of)["caller_interruptions"] == 1


@pytest.mark.parametrize(
    ("second", "doubtful"),
    [
        ((A, "Mm-hm.", 4, 5), ()),
        ((A, "Go on.", 9.8, 12), ()),
        ((C, "And my hip too.", 8, 14), ()),
        ((Role.INTERPRETER, "She says her knee hurts.", 8, 14), ()),
        ((A, "Thank you for watching.", 8, 14), (1,)),
        ((A, "Sure.", 8, 14), (0,)),
    ],
    ids=["backchannel", "turn change", "same side", "interpreter", "doubtful", "on doubtful"],
)
def test_what_takes_the_turn_from_nobody_is_no_interruption(
    second: Said, doubtful: tuple[int, ...]
) -> None:
    of = call((C, "My knee has been bad.", 0, 10), second, doubtful=doubtful)
    assert find_interruptions(of) == ()


# --- silences ------------------------------------------------------------------------------------


def test_a_long_silence_that_nobody_accounts_for_is_dead_air() -> None:
    of = call((A, "Hello.", 0, 1), (C, "I need a refill.", 2, 4), (A, "Okay.", 20, 21))
    (silence,) = find_silences(of)
    assert silence.kind is SilenceKind.DEAD_AIR
    assert (silence.start_s, silence.end_s) == (4, 20)
    (place,) = dead_air(of)
    assert of.quote(place) == "I need a refill."
    assert call_metrics(of)["dead_air_s"] == 16


@pytest.mark.parametrize(
    "words",
    [
        "Bear with me one moment.",
        "okay let me just pull that up for you",
        "Could you hang on a second for me?",
        "I'm checking with the nurse now.",
        "The system is a little slow today.",
        "One second while I look.",
    ],
)
def test_a_silence_that_the_agent_announced_is_not_dead_air(words: str) -> None:
    asked = ((A, "Hello.", 0, 1), (C, "Is it in?", 2, 4), (A, words, 4.5, 6), (C, "Sure.", 6.2, 7))
    assert kinds(call(*asked, (A, "It is.", 19, 20))) == [SilenceKind.ANNOUNCED]
    assert kinds(call(*asked, (A, "It is.", 59, 60))) == [SilenceKind.HOLD]


@pytest.mark.parametrize(
    "words", ["I'll put you on a brief hold.", "can you hold for me please", "Let me transfer you."]
)
def test_words_of_hold_make_a_hold_of_a_shorter_silence_too(words: str) -> None:
    of = call((A, words, 0, 3), (A, "Are you there?", 14, 15))
    assert kinds(of) == [SilenceKind.HOLD]


def test_thanks_for_waiting_tell_of_a_hold_that_was_not_heard_announced() -> None:
    of = call((A, "Hello.", 0, 1), (C, "Hi.", 2, 3), (A, "Thank you so much for holding.", 30, 32))
    assert kinds(of) == [SilenceKind.HOLD]
    assert call_metrics(of)["hold_estimated_s"] == 27


def test_music_that_is_heard_as_words_does_not_end_a_hold_and_somebody_speaking_does() -> None:
    said: list[Said] = [
        (A, "Please hold.", 0, 2),
        (A, "la la la", 20, 24),
        (Role.SYSTEM, "Your call is important to us.", 40, 44),
        (A, "Thanks for holding.", 62, 64),
    ]
    (hold,) = find_silences(call(*said, doubtful=(1,)))
    assert (hold.kind, hold.start_s, hold.end_s) == (SilenceKind.HOLD, 2, 62)
    assert len(find_silences(call(*said))) == 2


def test_doubtful_words_end_a_silence_that_nobody_announced() -> None:
    of = call((A, "Hello.", 0, 1), (C, "mumble", 7, 8), (A, "Okay.", 14, 15), doubtful=(1,))
    assert find_silences(of) == ()


def test_a_silence_in_which_the_caller_is_to_answer_is_the_callers() -> None:
    card = call((A, "Hello.", 0, 1), (C, "Hold on, let me get my card.", 2, 4), (C, "Yes.", 40, 41))
    asked = call((A, "What's the number on it?", 0, 2), (C, "Five.", 15, 16))
    looked = call(
        (A, "Let me find your record. What's your date of birth?", 0, 2), (C, "<DATE_1>.", 30, 31)
    )
    for of in (card, asked, looked):
        assert kinds(of) == [SilenceKind.CALLERS]
        assert dead_air(of) == ()


def test_waiting_for_the_agent_to_answer_is_the_queues() -> None:
    of = call(
        (Role.SYSTEM, "All agents are busy.", 0, 3),
        (A, "Sorry about the wait, this is <PERSON_1>.", 90, 93),
        (C, "Hi.", 94, 95),
    )
    assert kinds(of) == [SilenceKind.QUEUE]
    measures = call_metrics(of)
    assert measures["queue_s"] == 90
    assert measures["dead_airs"] == measures["holds_estimated"] == 0


def test_an_announcement_long_before_a_silence_does_not_excuse_it() -> None:
    of = call(
        (A, "One moment.", 0, 1),
        (C, "Sure.", 2, 3),
        (A, "It says here that you came in on <DATE_1>, is that so? Right.", 5, 60),
        (C, "Yes it was then.", 61, 63),
        (A, "Okay.", 80, 81),
    )
    assert kinds(of) == [SilenceKind.DEAD_AIR]


def test_the_caller_talking_of_another_hold_leaves_the_agents_own_alone() -> None:
    of = call(
        (A, "Hello.", 0, 1),
        (C, "I was on hold for an hour yesterday and nobody picked up, and then it went dead, so "
            "I am calling about the same bill again.", 2, 9),
        (A, "Okay.", 30, 31),
    )  # fmt: skip
    assert kinds(of) == [SilenceKind.DEAD_AIR]


# --- any call ------------------------------------------------------------------------------------

_times = st.sampled_from([None, math.nan, math.inf]) | st.floats(0, 300)
_texts = st.sampled_from(
    [
        "",
        " ",
        "yes",
        "\u00e9 <PERSON_1>?",
        "one moment",
        "please hold",
        "thanks for holding",
        "is it?",
    ]
)
_said = st.tuples(st.sampled_from(Role), _texts, _times, _times, st.booleans())


@st.composite
def any_call(draw: st.DrawFn) -> RedactedDialogue:
    """Turns with any times in any order, or none."""
    said = draw(st.lists(_said, max_size=7))
    plain = dialogue([(role, text) for role, text, *_ in said])
    turns = zip(plain.turns, said, strict=True)
    return replace(
        plain,
        turns=tuple(
            replace(turn, start_s=start, end_s=end, is_doubtful=doubtful)
            for turn, (_, _, start, end, doubtful) in turns
        ),
    )


@given(any_call())
def test_every_measure_of_any_call_is_listed_finite_and_within_its_unit(
    of: RedactedDialogue,
) -> None:
    for name, value in call_metrics(of).items():
        assert math.isfinite(value)
        assert value >= 0
        assert METRICS[name].unit != "share" or value <= 1


@given(any_call())
def test_places_are_words_of_the_call_and_as_many_as_are_counted(of: RedactedDialogue) -> None:
    measures = call_metrics(of)
    found = find_interruptions(of)
    for one in found:
        assert of.quote(one.evidence).strip()
        assert of.quote(one.broken).strip()
        assert one.overlap_s >= 0.3
    for place in (*broken_in(of), *dead_air(of)):
        of.quote(place)
    if "talk_span_s" in measures:
        assert len(broken_in(of)) == measures["agent_interruptions"] == interruptions(of)
        assert len(found) == measures["agent_interruptions"] + measures["caller_interruptions"]


@given(any_call())
def test_silences_follow_each_other_and_none_is_counted_twice(of: RedactedDialogue) -> None:
    silences = find_silences(of)
    for before, after in pairwise(silences):
        assert before.end_s <= after.start_s
    assert all(silence.duration_s >= 10 for silence in silences)
    total = sum(silence.duration_s for silence in silences)
    assert total <= call_metrics(of).get("talk_span_s", 0.0) + 1e-6


@given(any_call(), st.randoms(use_true_random=False))
def test_the_order_in_which_turns_are_given_changes_no_measure(
    of: RedactedDialogue, shuffle: object
) -> None:
    turns = list(of.turns)
    shuffle.shuffle(turns)  # type: ignore[attr-defined]
    mixed = call_metrics(replace(of, turns=tuple(turns)))
    assert mixed == pytest.approx(call_metrics(of))


def moved(of: RedactedDialogue, by_s: int) -> RedactedDialogue:
    """The call ``by_s`` later; in whole seconds, so that nothing is rounded over a threshold."""

    def later(time_s: float | None) -> float | None:
        return time_s if time_s is None or not math.isfinite(time_s) else round(time_s) + by_s

    turns = (replace(t, start_s=later(t.start_s), end_s=later(t.end_s)) for t in of.turns)
    return replace(of, turns=tuple(turns))


@given(any_call(), st.integers(1, 1000))
def test_a_call_that_begins_later_in_its_recording_has_the_same_measures(
    of: RedactedDialogue, by_s: int
) -> None:
    assert call_metrics(moved(of, by_s)) == pytest.approx(call_metrics(moved(of, 0)))


# --- with call records and other calls -----------------------------------------------------------

HELD = call(
    (A, "Hello.", 0, 2),
    (C, "Is it in?", 3, 5),
    (A, "Please hold.", 6, 8),
    (A, "Thanks for holding.", 48, 50),
)
RECORDING = make_record().recording


def measured(recording: Recording = RECORDING, **given_: object) -> dict[str, Measure]:
    measures = call_measures(call_metrics(HELD), recording, **given_)  # type: ignore[arg-type]
    return {measure.metric.name: measure for measure in measures}


def test_handle_time_without_call_records_says_that_it_is_estimated_and_what_it_lacks() -> None:
    found = measured()
    assert found["talk_time_s"].value == 10
    assert (found["hold_s"].value, found["hold_s"].basis) == (40, "estimated")
    assert found["handle_time_s"].value == 50
    assert found["handle_time_s"].basis == "estimated_without_after_call"
    assert "after_call_s" not in found


def test_handle_time_is_talk_hold_and_after_call_work_of_the_call_record() -> None:
    found = measured(replace(RECORDING, hold_s=45.0, after_call_s=30.0))
    assert (found["hold_s"].value, found["hold_s"].basis) == (45, "call_record")
    assert (found["handle_time_s"].value, found["handle_time_s"].basis) == (85, "call_record")
    assert measured(replace(RECORDING, hold_s=0.0))["handle_time_s"].basis == "without_after_call"
    assert measured(replace(RECORDING, after_call_s=9.0))["handle_time_s"].basis == "estimated"


def test_no_handle_time_is_made_up_for_a_call_without_times() -> None:
    recording = replace(RECORDING, hold_s=45.0, after_call_s=30.0)
    found = {m.metric.name: m for m in call_measures(call_metrics(dialogue(ROUTINE)), recording)}
    assert "handle_time_s" not in found
    assert found["hold_s"].value == 45


def test_what_the_call_record_says_of_the_outcome_is_told_and_else_nothing() -> None:
    assert not {"resolved", "transferred", "first_contact_resolved"} & measured().keys()
    found = measured(replace(RECORDING, resolved=False, transferred=True))
    assert (found["resolved"].value, found["transferred"].value) == (False, True)


def test_a_repeat_caller_is_told_with_how_often_when_and_about_what() -> None:
    contacts = Contacts(
        earlier_types=(CallType.BILLING, None, CallType.SYMPTOMS, CallType.BILLING),
        since_last_s=3600.0,
        is_resolved=None,
        basis="not_first_contact",
    )
    found = measured(contacts=contacts, call_type=CallType.BILLING)
    assert found["earlier_calls"].value == 4
    assert found["earlier_calls_of_type"].value == 2
    assert found["since_earlier_call_s"].value == 3600
    assert found["first_contact_resolved"].value is None
    assert found["first_contact_resolved"].basis == "not_first_contact"
    assert "earlier_calls_of_type" not in measured(contacts=contacts)


def test_an_unknown_caller_has_no_earlier_calls_rather_than_none_at_all() -> None:
    unknown = Contacts(
        earlier_types=None, since_last_s=None, is_resolved=None, basis="caller_unknown"
    )
    found = measured(contacts=unknown)
    assert "earlier_calls" not in found
    assert found["first_contact_resolved"].basis == "caller_unknown"


def test_measures_come_in_the_order_of_the_list() -> None:
    names = list(measured(replace(RECORDING, resolved=True)))
    assert names == [name for name in METRICS if name in names]


def test_every_measure_says_its_unit_in_its_name_and_what_it_means() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert (metric.unit == "s") == name.endswith("_s"), name
        assert (metric.unit == "share") == name.endswith("_share"), name
        assert re.fullmatch(r"[A-Z].*\.", metric.says), name
        assert metric.source


def test_measures_kept_by_an_older_version_are_still_read() -> None:
    found = {
        m.metric.name for m in call_measures({"agent_talk_share": 0.4, "gone": 1.0}, RECORDING)
    }
    assert found == {"agent_talk_share"}

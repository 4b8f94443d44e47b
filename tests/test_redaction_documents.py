"""documents: any text comes back redacted, and the same to the byte in all else."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, RedactedTurn, Role, Span
from qa_monitor.errors import UsageError
from qa_monitor.redaction import PresidioRedactor
from qa_monitor.redaction.documents import (
    Document,
    DocumentKind,
    read_document,
    redact_document,
)
from qa_monitor.redaction.documents.parts import Encoding
from qa_monitor.redaction.operators import Operator, OperatorName, Operators, Replacement

MODEL = Path(__file__).parents[1] / "models" / "phi-ner"
CANARY = "Zebulon"
NO_OPERATORS = Operators()


class FindsWord:
    """A redactor that finds one word, wherever it stands in a turn, and nothing else."""

    version = "test"

    def __init__(self, word: str = CANARY) -> None:
        self._word = re.compile(re.escape(word), re.IGNORECASE)

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        return RedactedDialogue(
            call_id=dialogue.call_id,
            language="en",
            asr_model="none",
            redactor_version=self.version,
            dropped_s=0.0,
            turns=tuple(self._turn(turn.index, turn.text) for turn in dialogue.turns),
        )

    def _turn(self, index: int, source: str) -> RedactedTurn:
        text, position = "", 0
        spans = []
        for match in self._word.finditer(source):
            text += source[position : match.start()]
            spans.append(
                Span(
                    start=len(text),
                    end=len(text) + len("<PERSON_1>"),
                    source_start=match.start(),
                    source_end=match.end(),
                    entity_type=EntityType.PERSON,
                    recognizer="test",
                    confidence=1.0,
                    start_s=None,
                    end_s=None,
                )
            )
            text += "<PERSON_1>"
            position = match.end()
        return RedactedTurn(
            index=index,
            speaker="x",
            role=Role.UNKNOWN,
            role_confidence=0.0,
            start_s=None,
            end_s=None,
            text=text + source[position:],
            spans=tuple(spans),
        )


@pytest.fixture(scope="module")
def redactor() -> PresidioRedactor:
    return PresidioRedactor(MODEL)


def redacted(
    redactor: Any, content: str, operators: Operators = NO_OPERATORS, **reading: Any
) -> str:
    return redact_document(read_document(content, **reading), redactor, operators).text


def unchanged(document: Document) -> str:
    return document.render([[() for _ in d.turns] for d in document.dialogues])


def texts(document: Document) -> list[list[str]]:
    """What is said, by dialogue."""
    return [[t.text for t in d.turns if t.speaker != "aside"] for d in document.dialogues]


def check_places(document: Document) -> None:
    """Every cell leads from its turn to the characters it was read from, and none overlap."""
    taken: list[tuple[int, int]] = []
    for dialogue, cells_by_turn in zip(document.dialogues, document.cells, strict=True):
        for turn, cells in zip(dialogue.turns, cells_by_turn, strict=True):
            assert cells
            for cell in cells:
                piece = cell.piece
                there = turn.text[cell.start : cell.start + len(piece.text)]
                assert there.lower() == piece.text.lower()
                for run in piece.runs:
                    raw = document.content[run.raw_start : run.raw_end]
                    taken.append((run.raw_start, run.raw_end))
                    if piece.encoding in {Encoding.PLAIN, Encoding.MARKUP}:
                        same = raw == piece.text[run.start : run.end]
                        assert same or (raw.startswith("&") and run.end - run.start == 1)
    assert all(a[1] <= b[0] for a, b in pairwise(sorted(taken)))


# --- examples ------------------------------------------------------------------------------------

TEXT = (
    "Agent: What's your date of birth?\r\n"
    "Caller: march third nineteen eighty two\n"
    "\n"
    "Speaker 2: and call me on 617-555-0142"
)
FORM = "Patient name: grace young\nDOB: 3/4/82\nPhone: 617-555-0142\nNote: no change. Plan: wait.\n"
CHAT = (
    "[3/4/2026, 10:32:15 AM] Maria L.: hi, it's about my claim\n"
    "[3/4/2026, 10:32:40 AM] Agent: Sure Maria, your number?\n"
    "[3/4/2026, 10:33:01 AM] Maria L.: it is 617 555\n"
    "0142\n"
)
VTT = """WEBVTT - Call with Maria Lopez
Kind: captions

STYLE
::cue(v[voice="Maria Lopez"]) { color: lime } /* Maria */

NOTE heard again
by Maria Lopez

1
00:00.000 --> 00:04.000 align:start position:0%
<v Agent>Thanks for calling. Your <i>name</i> &amp; date of birth?</v>

f47ac10b-58cc-4372-a567-0e02b2c3d479/1-0
00:04.000 --> 00:08.000
<v Maria Lopez>It's <b>Maria</b> Lopez,
march third nineteen

00:08.000 --> 00:10.000
<v Maria Lopez>eighty two
<v Agent>Thanks Maria
"""
SRT = """1
00:00:00,000 --> 00:00:04,000
Agent: Your name please?

2
00:00:04,000 --> 00:00:06,000
{\\an8}GRACE: it's <i>Grace</i> Young and my

3
00:00:06,000 --> 00:00:09,000
number is 617-555
0142.

4
00:00:10,000 --> 00:00:12,000
GRACE: bye
"""
CALL: dict[str, Any] = {
    "id": "c1",
    "call_type": "billing",
    "turns": [
        {
            "speaker": "agent",
            "text": "Fairlawn Clinic, this is Helen.",
            "phi": [
                {"start": 0, "end": 15, "type": "ORGANIZATION", "text": "Fairlawn Clinic"},
                {"start": 25, "end": 30, "type": "PERSON", "text": "Helen"},
            ],
        },
        {"speaker": "caller", "text": "my number is 617 555 0142"},
    ],
}
WHISPER = {
    "text": " My name is Maria Alvarez. My phone is 617-555-0142.",
    "segments": [
        {
            "id": 0,
            "start": 0.0,
            "end": 2.0,
            "text": " My name is Maria",
            "tokens": [50364, 1222, 1315],
            "words": [
                {"word": " My", "start": 0.0, "end": 0.2},
                {"word": " name", "start": 0.2, "end": 0.3},
                {"word": " is", "start": 0.3, "end": 0.5},
                {"word": " Maria", "start": 0.5, "end": 1.0},
            ],
        },
        {
            "id": 1,
            "start": 2.0,
            "end": 5.0,
            "text": " Alvarez. My phone is 617-555-0142.",
            "tokens": [2, 3],
        },
    ],
    "language": "en",
}
RECORD = (
    '{"callerPhone": 6175550142, "dob": "1982-03-04", "mrn": 4471920, "zip": 2139, "age": 93,\n'
    ' "started_at": "2026-03-04T10:32:00Z", "created": 1772620320, "bp": "120/80",\n'
    ' "patient": {"firstName": "grace", "address": {"city": "springfield"}}, "score": 4.50,\n'
    ' "agent_id": "agent-02", "note": "Spoke with Grace", "617-555-0142": true, "kids": 2}'
)
EXAMPLES = {
    "text": TEXT,
    "form": FORM,
    "chat": CHAT,
    "vtt": VTT,
    "srt": SRT,
    "labelled call": json.dumps(CALL),
    "labelled calls": "\n".join([json.dumps(CALL), "", json.dumps({**CALL, "id": "c2"})]),
    "whisper": json.dumps(WHISPER, indent=2),
    "record": RECORD,
}
PHI = re.compile(
    r"maria|lopez|alvarez|grace|young|helen|fairlawn|springfield|march third|eighty|0142|617"
    r"|1982|3/4|2026|4471920|2139|93,|1772620320",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_no_phi_is_left_in_any_kind_of_text(redactor: PresidioRedactor, name: str) -> None:
    assert PHI.search(EXAMPLES[name])
    found = redacted(redactor, EXAMPLES[name])
    assert not PHI.search(found), found


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_what_is_redacted_stays_as_it_is_when_it_is_redacted_again(
    redactor: PresidioRedactor, name: str
) -> None:
    once = redacted(redactor, EXAMPLES[name])
    assert redacted(redactor, once) == once


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_text_in_which_nothing_is_replaced_comes_back_as_it_was(name: str) -> None:
    for content in (EXAMPLES[name], "\ufeff" + EXAMPLES[name].replace("\n", "\r\n")):
        document = read_document(content)
        check_places(document)
        assert unchanged(document) == content
    assert document.kind.value in {"text", "chat", "vtt", "srt", "json", "jsonl"}


# --- kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (TEXT, "text"),
        (FORM, "text"),
        ("", "text"),
        ("[Maria said hi] at 10:32", "text"),
        ("She came in at 10:32.\n10:40 left.\n", "text"),
        ("Assessment: well.\nPlan: none.\nAssessment: as before.\n", "text"),
        (CHAT, "chat"),
        ("10:32 AM - Agent: Hello", "chat"),
        ("Maria Lopez (3/4/2026 10:32): hello", "chat"),
        ("Agent: hello\nMaria: hi\nAgent: bye\nMaria: bye", "chat"),
        ("( 12s ) Agent Maria: hi\n( 1m 2s ) Bob: hello\n", "chat"),
        ("WEBVTT\n\n00:00.000 --> 00:01.000\nhi", "vtt"),
        ("00:00:01.000 --> 00:00:02.000\nhi", "srt"),
        (SRT, "srt"),
        ('["a"]', "json"),
        (' {"a": 1}\n', "json"),
        ('{"a": 1}\n{"a": 2}\n', "jsonl"),
        ('"one"\n', "text"),
    ],
)
def test_the_kind_is_told_by_the_content(content: str, kind: str) -> None:
    assert read_document(content).kind == kind


@pytest.mark.parametrize(
    ("content", "reading", "line"),
    [
        ('{"a": "Zebulon', {}, 1),
        ('{"a": 1,\n "b": Zebulon}', {}, 2),
        ('{"a": 1}\n{"b": Zebulon}\n', {}, 2),
        ("Zebulon", {"suffix": ".json"}, 1),
        ("Zebulon", {"suffix": ".jsonl"}, 1),
        ("Zebulon", {"suffix": ".VTT"}, 1),
        ("00:00.000 --> 00:01.000\nZebulon", {"kind": DocumentKind.VTT}, 1),
        ("[" * 100_000, {}, 1),
        ('{"a": 1} Zebulon', {"kind": DocumentKind.JSON}, 1),
        ("[1,]", {"kind": DocumentKind.JSON}, 1),
        ("[01]", {"kind": DocumentKind.JSON}, 1),
        ('{"a" 1}', {"kind": DocumentKind.JSON}, 1),
        ("", {"kind": DocumentKind.JSON}, 1),
    ],
)
def test_a_broken_text_is_refused_with_its_line_and_none_of_its_words(
    content: str, reading: dict[str, Any], line: int
) -> None:
    with pytest.raises(UsageError) as caught:
        read_document(content, **reading)
    assert f"line {line}:" in caught.value.message
    assert CANARY not in f"{caught.value} {vars(caught.value)} {caught.value.__context__}"


def test_srt_without_a_cue_is_refused_and_as_text_any_text_is_taken() -> None:
    with pytest.raises(UsageError, match="no SRT"):
        read_document("Zebulon", suffix=".srt")
    for content in ('{"a": "Zebulon', "WEBVTT\nZebulon", "00:00.000 --> Zebulon"):
        document = read_document(content, kind=DocumentKind.TEXT)
        assert redacted(FindsWord(), content, kind=DocumentKind.TEXT) == content.replace(
            "Zebulon", "<PERSON_1>"
        )
        assert document.kind is DocumentKind.TEXT


# --- who speaks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lead", "redacted_lead"),
    [
        ("[10:32] Maria L.: ", "[10:32] <PERSON_1>: "),
        ("[10:32] maria: ", "[10:32] <PERSON_1>: "),
        ("[10:32] <maria> ", "[10:32] <<PERSON_1>> "),
        ("10:32 AM - Nurse Maria Lopez (agent): ", "10:32 AM - Nurse <PERSON_1> (agent): "),
        ("Maria Lopez (3/4/2026 10:32): ", "<PERSON_1> (<DATE_1> 10:32): "),
        ("Maria Lopez [10:32:01]: ", "<PERSON_1> [10:32:01]: "),
        ("3/4/26, 10:32 - Maria: ", "<DATE_1>, 10:32 - <PERSON_1>: "),
        ("[2026-03-04T10:32:00Z] Maria: ", "[<DATE_1>T10:32:00Z] <PERSON_1>: "),
        ("[Mar 4, 2026 10:32 PM] Maria: ", "[<DATE_1> 10:32 PM] <PERSON_1>: "),
        ("[10:32] +1 (617) 555-0142: ", "[10:32] <PHONE_1>: "),
        ("[10:32] m.lopez@example.org: ", "[10:32] <EMAIL_1>: "),
        ("( 1m 2s ) Maria: ", "( 1m 2s ) <PERSON_1>: "),
        ("10:32:15 From Maria Lopez to Everyone: ", "10:32:15 From <PERSON_1> to Everyone: "),
        ("[10:32] maria 0142: ", "[10:32] <PERSON_1>: "),
        ("[10:32] Agent: ", "[10:32] Agent: "),
        ("[10:32] SPEAKER_01: ", "[10:32] SPEAKER_01: "),
        ("[10:32] Speaker B (caller): ", "[10:32] Speaker B (caller): "),
    ],
)
def test_a_lead_loses_names_and_dates_and_keeps_roles_and_clocks(
    redactor: PresidioRedactor, lead: str, redacted_lead: str
) -> None:
    content = f"{lead}hello there\n{lead}my claim was denied\n"
    expected = f"{redacted_lead}hello there\n{redacted_lead}my claim was denied\n"
    assert redacted(redactor, content) == expected


def test_a_speaker_has_one_placeholder_in_the_leads_and_in_what_is_said(
    redactor: PresidioRedactor,
) -> None:
    assert redacted(
        redactor,
        "[10:32] grace: hi it's about bob\n[10:33] Agent: thank you grace\n[10:34] grace: bye\n",
    ) == (
        "[10:32] <PERSON_2>: hi it's about <PERSON_1>\n"
        "[10:33] Agent: thank you <PERSON_2>\n[10:34] <PERSON_2>: bye\n"
    )


def test_a_name_is_redacted_even_where_the_redactor_finds_none() -> None:
    content = "[10:32] Xq Vv: hi\n[10:33] Agent: hello\n[10:34] xq vv: bye"
    document = redact_document(read_document(content), FindsWord("nothing"), NO_OPERATORS)
    assert document.text == (
        "[10:32] <PERSON_1>: hi\n[10:33] Agent: hello\n[10:34] <PERSON_1>: bye"
    )
    (span,) = document.calls[0].turns[-1].spans
    assert (span.recognizer, span.context) == ("speaker_label", "place in the document")
    off = redact_document(
        read_document(content),
        FindsWord("nothing"),
        NO_OPERATORS,
        entity_types={EntityType.DATE},
    )
    assert off.text == content


def test_roles_are_told_by_the_labels_and_the_other_of_two_is_the_other() -> None:
    document = read_document("[10:32] Maria L.: hi\n[10:33] Agent: hello\n[10:34] Maria L.: ok\n")
    (dialogue,) = document.dialogues
    said = [turn for turn in dialogue.turns if turn.speaker != "aside"]
    assert [turn.role for turn in said] == [Role.CALLER, Role.AGENT, Role.CALLER]
    assert said[0].speaker == said[2].speaker
    assert "Maria" not in repr(document)


def test_a_message_goes_on_in_the_lines_below_it(redactor: PresidioRedactor) -> None:
    content = (
        "Maria Lopez  10:32 AM\nmy number is 617\n555 0142\n\nBob Stone  10:33 AM\nthanks\n"
        "Maria Lopez  10:34 AM\nbye\n"
    )
    assert texts(read_document(content)) == [["my number is 617 555 0142", "thanks", "bye"]]
    assert redacted(redactor, content) == (
        "<PERSON_1>  10:32 AM\nmy number is <PHONE_1>\n<PHONE_1>\n\n<PERSON_2>  10:33 AM\nthanks\n"
        "<PERSON_1>  10:34 AM\nbye\n"
    )


def test_where_messages_have_times_other_words_before_a_colon_are_no_speakers() -> None:
    content = "[10:32] Maria Lopez: the plan\nDays Remaining: twelve\n[10:33] Agent: ok\n"
    document = read_document(content)
    assert texts(document) == [["the plan Days Remaining: twelve", "ok"]]


def test_plain_text_is_a_turn_a_line_with_its_ends_kept(redactor: PresidioRedactor) -> None:
    text = "agent: What's your date of birth?\r\ncaller: march third nineteen eighty two\n\nbye"
    assert redacted(redactor, text) == (
        "agent: What's your date of birth?\r\ncaller: <DATE_1>\n\nbye"
    )


# --- captions ------------------------------------------------------------------------------------


def test_cues_of_one_speaker_and_sentences_that_go_on_are_one_turn() -> None:
    assert texts(read_document(VTT)) == [
        [
            "Thanks for calling. Your name & date of birth?",
            "It's Maria Lopez, march third nineteen eighty two",
            "Thanks Maria",
        ]
    ]
    unnamed = (
        "WEBVTT\n\n00:00.000 --> 00:01.000\nYour phone?\n\n00:01.000 --> 00:02.000\nsix one\n\n"
        "00:02.000 --> 00:03.000\nseven\n- okay\n\n00:09.000 --> 00:10.000\n&gt;&gt; bye\n"
    )
    assert texts(read_document(unnamed)) == [["Your phone?", "six one seven", "okay", "bye"]]


def test_cues_keep_numbers_ids_times_settings_and_tags(redactor: PresidioRedactor) -> None:
    found = redacted(redactor, VTT)
    for kept in (
        "Kind: captions",
        "align:start position:0%",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479/1-0\n00:04.000 --> 00:08.000\n",
        "<v Agent>Thanks for calling. Your <i>name</i> &amp; date of birth?</v>",
        "<b>&lt;PERSON_1&gt;</b>",
        "{ color: lime }",
    ):
        assert kept in found
    assert found.count("-->") == 3
    assert len(found.splitlines()) == len(VTT.splitlines())
    first, last = read_document(VTT).dialogues[0].turns[:2]
    assert (first.start_s, last.start_s, last.end_s) == (0.0, 4.0, 10.0)


def test_a_value_over_two_lines_has_its_placeholder_in_each_and_no_line_goes_empty(
    redactor: PresidioRedactor,
) -> None:
    found = redacted(redactor, SRT)
    assert "number is <PHONE_1>\n<PHONE_1>.\n" in found
    assert "{\\an8}<PERSON_1>: it's <i><PERSON_1></i> and my" in found
    mask = Operators({EntityType.PHONE: Operator(OperatorName.MASK, keep_last=2)})
    assert "number is ***-***\n**42.\n" in redacted(redactor, SRT, mask)


@pytest.mark.parametrize(
    "line",
    [
        "<c.zebulon>hi</c>",
        "<b zebulon>hi</b>",
        "<font face=zebulon>hi</font>",
        "{\\zebulon}hi",
        "<zebulon>",
        "&zebulon;",
        "hi --> zebulon",
        "00:00.000 --> 00:01.000 region:zebulon",
        "00:00.000 --> 00:01.000 align:zebulon\nhi",
        "zebulon\n00:00.000 --> 00:01.000\nhi",
        "\nNOTE\nzebulon",
        "\nREGION\nid:zebulon\nwidth:40%",
        "\nSTYLE\n::cue(v[voice=zebulon], [voice='zebulon']) { font: 'zebulon' } /* zebulon */",
    ],
)
def test_a_name_hides_in_no_tag_setting_or_block_of_captions(line: str) -> None:
    start = "00:00.000 --> 00:01.000\nfirst\n"
    for content in (f"WEBVTT\n\n{start}{line}\n", f"1\n{start}{line}\n"):
        found = redacted(FindsWord(), content)
        # An unquoted name in a style sheet is part of its grammar and the one place not read.
        assert CANARY.lower() not in found.replace("voice=zebulon", "")


# --- JSON ----------------------------------------------------------------------------------------


def test_a_labelled_call_keeps_its_shape_and_loses_its_labels_words(
    redactor: PresidioRedactor,
) -> None:
    found = json.loads(redacted(redactor, json.dumps(CALL)))
    assert found["turns"][0]["text"] == "<ORGANIZATION_1>, this is <PERSON_1>."
    assert [label["text"] for label in found["turns"][0]["phi"]] == [
        "<ORGANIZATION_1>",
        "<PERSON_1>",
    ]
    assert found["turns"][1] == {"speaker": "caller", "text": "my number is <PHONE_1>"}
    assert found["call_type"] == "billing"


def test_a_recognisers_text_segments_words_and_tokens_are_redacted_alike(
    redactor: PresidioRedactor,
) -> None:
    document = read_document(json.dumps(WHISPER))
    assert texts(document) == [["My name is Maria Alvarez. My phone is 617-555-0142."]]
    found = json.loads(redacted(redactor, json.dumps(WHISPER)))
    assert found["text"] == " My name is <PERSON_1>. My phone is <PHONE_1>."
    first, second = found["segments"]
    assert first["text"] == " My name is <PERSON_1>"
    assert second["text"] == " <PERSON_1>. My phone is <PHONE_1>."
    assert [word["word"] for word in first["words"]] == [" My", " name", " is", " <PERSON_1>"]
    assert first["tokens"] == second["tokens"] == []
    assert (first["start"], first["end"], found["language"]) == (0.0, 2.0, "en")


def words_of(*texts: str) -> list[dict[str, Any]]:
    return [{"text": text, "start": i, "end": i + 1} for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    "value",
    [
        {
            "results": {
                "transcripts": [{"transcript": "My name is Zebulon."}],
                "items": [
                    {"alternatives": [{"content": w}, {"content": "x"}], "start_time": "0.04"}
                    for w in ("My", "name", "is", "Zebulon", ".")
                ],
            }
        },
        {
            "alternatives": [
                {
                    "transcript": "My name is Zebulon.",
                    "words": [
                        {"word": w.lower().strip("."), "punctuated_word": w}
                        for w in ("My", "name", "is", "Zebulon.")
                    ],
                }
            ]
        },
        {
            "text": "Your name? Zebulon.",
            "utterances": [
                {"speaker": "A", "text": "Your name?", "words": words_of("Your", "name?")},
                {"speaker": "B", "text": "Zebulon.", "words": words_of("Zebulon.")},
            ],
            "words": words_of("Your", "name?", "Zebulon."),
        },
        {
            "transcription": [
                {
                    "text": " I am Zebulon.",
                    "tokens": [
                        {"text": "[_BEG_]", "id": 50364},
                        {"text": " I am", "id": 40},
                    ],
                },
                {
                    "text": " I am Zebulon.",
                    "tokens": [
                        {"text": "[_BEG_]", "id": 50364},
                        {"text": " I", "id": 40},
                        {"text": " am", "id": 41},
                        {"text": " Zeb", "id": 42},
                        {"text": "ulon", "id": 43},
                        {"text": ".", "id": 44},
                    ],
                },
            ]
        },
        {
            "monologues": [
                {
                    "speaker": 0,
                    "elements": [
                        {"type": "text", "value": "I"},
                        {"type": "punct", "value": " "},
                        {"type": "text", "value": "Zebulon"},
                        {"type": "punct", "value": "."},
                    ],
                }
            ]
        },
        {"characters": list("I am Zebulon"), "text": "I am Zebulon"},
        {"words": ["I", "am", "Zebulon"]},
    ],
    ids=["items", "two forms", "words twice", "tokens", "elements", "characters", "plain words"],
)
def test_no_part_of_a_name_is_left_in_lists_of_words(value: dict[str, Any]) -> None:
    found = redacted(FindsWord(), json.dumps(value))
    solid = re.sub(r"[^a-z]", "", found.lower())
    assert "zeb" not in solid
    assert "ulon" not in solid
    assert json.loads(found).keys() == value.keys()
    for code in (42, 43):
        assert f'"id": {code}' not in found


def test_speakers_who_come_with_words_alone_are_heard_in_turn() -> None:
    def element(text: str) -> dict[str, str]:
        return {"type": "punct" if text in " ." else "text", "value": text}

    value = {
        "monologues": [
            {"speaker": "agent", "elements": [*map(element, ["Your", " ", "name", "?"])]},
            {"speaker": "caller", "elements": [*map(element, ["Maria", " ", "Lopez", "."])]},
        ]
    }
    document = read_document(json.dumps(value))
    assert texts(document) == [["Your name?", "Maria Lopez."]]
    assert [t.role for t in document.dialogues[0].turns] == [Role.AGENT, Role.CALLER]


def test_words_are_put_to_the_text_beside_them_and_not_to_its_twin(
    redactor: PresidioRedactor,
) -> None:
    twins = {
        "segments": [
            {"speaker": s, "text": t, "words": words_of(*t.split())}
            for s, t in (
                ("agent", "how many tablets a day?"),
                ("caller", "four"),
                ("agent", "and the last digit of your phone number?"),
                ("caller", "four"),
            )
        ]
    }
    found = json.loads(redacted(redactor, json.dumps(twins)))
    for segment in found["segments"]:
        assert [word["text"] for word in segment["words"]] == segment["text"].split()


@pytest.mark.parametrize(
    ("key", "value", "placeholder"),
    [
        ("phone", 6175550142, "<PHONE_1>"),
        ("callerPhone", "617.555.0142", "<PHONE_1>"),
        ("ssn_last4", "0142", "<SSN_1>"),
        ("dob", 19820304, "<DATE_1>"),
        ("date_of_birth", "3/4/82", "<DATE_1>"),
        ("created", 1772620320, "<DATE_1>"),
        ("MRN", 4471920, "<MRN_1>"),
        ("member_id", "XJ4-7719", "<MEMBER_ID_1>"),
        ("zip", 2139, "<LOCATION_1>"),
        ("city", "springfield", "<LOCATION_1>"),
        ("lat", 42.36, "<LOCATION_1>"),
        ("firstName", "grace", "<PERSON_1>"),
        ("patient", "young", "<PERSON_1>"),
        ("email", "g@example.org", "<EMAIL_1>"),
        ("age", 93, "<AGE_1>"),
        ("ip_address", "10.20.30.40", "<IP_1>"),
        ("from", 16175550142, "<PHONE_1>"),
    ],
)
def test_a_field_that_tells_phi_is_redacted_whatever_the_redactor_finds(
    redactor: PresidioRedactor, key: str, value: object, placeholder: str
) -> None:
    for finder in (redactor, FindsWord("nothing")):
        found = redacted(finder, json.dumps({"x": 1.50, key: value}))
        assert json.loads(found) == {"x": 1.5, key: placeholder}


@pytest.mark.parametrize(
    "content",
    [
        '{"age": 41, "score": 4.50, "start": 12.25, "phone_type": "mobile", "kids": 2}',
        '{"name": "Agent", "speaker": "SPEAKER_00", "agent_id": "agent-02", "role": "caller"}',
        '{"start": "00:00:12.345", "duration": "PT12.3S", "end_time": "3.24", "lang": "en-US"}',
        '{"model_name": "large", "file_count": 3, "sort_order": 2000, "tax": 3.5, "ok": null}',
        '{"Sentiment": "positive", "Transcript": [], "LoudnessScore": [1, 2e5, -0]}',
    ],
)
def test_what_a_machine_says_of_itself_stays(redactor: PresidioRedactor, content: str) -> None:
    assert redacted(redactor, content) == content


def test_keys_stay_but_where_they_are_names_or_numbers(redactor: PresidioRedactor) -> None:
    found = redacted(redactor, '{"Maria Lopez": {"x": 1}, "617-555-0142": {"lastCall": 2}}')
    assert found == '{"<PERSON_1>": {"x": 1}, "<PHONE_1>": {"lastCall": 2}}'


def test_each_call_of_a_list_is_a_dialogue_and_messages_are_one() -> None:
    calls = [CALL, {**CALL, "id": "c2"}]
    for content in (
        "\n".join(map(json.dumps, calls)),
        json.dumps(calls),
        json.dumps({"exported": "x", "calls": calls}),
    ):
        document = read_document(content, call_id="t")
        assert texts(document)[:2] == [[t["text"] for t in CALL["turns"]]] * 2
        assert [d.call_id for d in document.dialogues][:2] == ["t-1", "t-2"]
    messages = [
        {"role": "agent", "content": "Your name?"},
        {"role": "user", "content": [{"type": "text", "text": "maria"}]},
    ]
    for content in ("\n".join(map(json.dumps, messages)), json.dumps({"messages": messages})):
        document = read_document(content)
        assert texts(document) == [["Your name?", "maria"]]
        assert [t.role for t in document.dialogues[0].turns[:2]] == [Role.AGENT, Role.CALLER]


def test_a_name_in_the_record_of_a_call_is_found_in_what_is_said(
    redactor: PresidioRedactor,
) -> None:
    call = {
        "member": {"first_name": "Willow"},
        "turns": [{"speaker": "agent", "text": "hi willow"}],
    }
    found = json.loads(redacted(redactor, json.dumps(call)))
    assert found["turns"][0]["text"] == "hi <PERSON_1>"


def test_escapes_around_a_value_stay_as_they_were_written() -> None:
    content = '{"text": "caf\\u00e9 \\/ \\ud83d\\ude00\\nZ\\u0065bulon\\ud800 \\u00e9 \U0001f600"}'
    assert redacted(FindsWord(), content) == content.replace("Z\\u0065bulon", "<PERSON_1>")


# --- operators -----------------------------------------------------------------------------------


def test_operators_write_into_the_text_and_the_calls_keep_placeholders(
    redactor: PresidioRedactor,
) -> None:
    operators = Operators(
        {
            EntityType.PHONE: Operator(OperatorName.MASK, keep_last=4),
            EntityType.PERSON: Operator(OperatorName.HASH),
            EntityType.DATE: Operator(OperatorName.KEEP),
        },
        b"k" * 32,
    )
    document = redact_document(read_document(CHAT), redactor, operators)
    assert document.kept == {EntityType.DATE: 1}
    assert "[3/4/2026, 10:32:15 AM]" in document.text
    assert "it is *** ***\n0142\n" in document.text
    (hashed,) = set(re.findall(r"<PERSON_\d{16}>", document.text))
    assert "Maria" not in document.text
    assert any("<PHONE_1>" in turn.text for turn in document.calls[0].turns)
    assert "Maria" not in repr(document)
    record = redacted(redactor, '{"n": "call 617-555-0142", "phone": 6175550142}', operators)
    assert json.loads(record) == {"n": "call ***-***-0142", "phone": "******0142"}
    assert hashed == redacted(redactor, "[10:32] Maria L.: hi", operators)[8:-4]


def test_what_is_kept_is_left_to_the_byte() -> None:
    keep = Operators({EntityType.PERSON: Operator(OperatorName.KEEP)})
    content = '{"n": 1, "text": "Z\\u0065bulon", "name": "Zebulon", "n": 1.50}'
    assert redacted(FindsWord(), content, keep) == content


# --- properties ----------------------------------------------------------------------------------

LINES = st.text(alphabet=st.sampled_from("ab :-<>&;.\"'/\\[](){}0123456789|éA,\u2028"), max_size=24)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
SHAPED = st.recursive(
    JSON,
    lambda inner: st.dictionaries(
        st.sampled_from(
            "text turns segments words tokens speaker from id phone name results alternatives "
            "transcript message content items role phi type word start end".split()
        ),
        inner | st.lists(inner, max_size=3),
        max_size=4,
    ),
    max_leaves=12,
)


@given(content=st.text(max_size=200), kind=st.sampled_from(DocumentKind) | st.none())
def test_any_text_comes_back_as_it_was_or_is_refused(
    content: str, kind: DocumentKind | None
) -> None:
    if kind is DocumentKind.VTT:
        content = f"WEBVTT\n{content}"
    elif kind is DocumentKind.SRT:
        content = f"00:00.000 --> 00:01.000\n{content}"
    try:
        document = read_document(content, kind=kind)
    except UsageError:
        assert kind in {DocumentKind.JSON, DocumentKind.JSONL} or content.lstrip()[:1] in "[{"
        return
    check_places(document)
    assert unchanged(document) == content


@given(value=JSON | SHAPED, indent=st.none() | st.just(2), ascii_only=st.booleans())
def test_any_json_comes_back_as_it_was(value: Any, indent: int | None, ascii_only: bool) -> None:
    content = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = read_document(content, kind=DocumentKind.JSON)
    assert unchanged(document) == content
    again = redacted(FindsWord("nothing to find"), content, kind=DocumentKind.JSON)
    # What places tell may be gone; it is JSON of the same shape all the same.
    assert shape(json.loads(again)) == shape(value)


def shape(value: Any) -> Any:
    """The nesting of a JSON value, without the keys, which may be names."""
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    if isinstance(value, list):
        # The codes of a text are taken out of their list.
        is_flat = not any(isinstance(item, (dict, list)) for item in value)
        return None if is_flat else [*map(shape, value)]
    return None


def hidden(value: Any, path: Sequence[int]) -> Any:
    """``value`` with the canary in one of its texts, or as a text beside it."""
    match value:
        case str() if path:
            at = path[0] % (len(value) + 1)
            return f"{value[:at]} {CANARY} {value[at:]}"
        case str():
            return CANARY
        case list() if value and path:
            at = path[0] % len(value)
            return [hidden(v, path[1:]) if i == at else v for i, v in enumerate(value)]
        case dict() if value and path:
            at = path[0] % len(value)
            return {
                k: hidden(v, path[1:]) if i == at else v for i, (k, v) in enumerate(value.items())
            }
    return [value, CANARY]


@given(value=SHAPED, path=st.lists(st.integers(0, 3), max_size=6))
def test_a_name_is_found_wherever_it_stands_in_json(value: Any, path: list[int]) -> None:
    content = json.dumps(hidden(value, path), ensure_ascii=False)
    assert CANARY in content
    found = redacted(FindsWord(), content, kind=DocumentKind.JSON)
    assert CANARY not in found
    json.loads(found)


@given(
    lines=st.lists(LINES, max_size=8),
    at=st.integers(0, 7),
    column=st.integers(0, 24),
    kind=st.sampled_from(["text", "chat", "vtt", "srt"]),
    frame=st.sampled_from(["{}", "[10:32] {}", "[10:32] Bob: {}", "{}: hi", "NOTE {}", "- {}"]),
)
def test_a_name_is_found_wherever_it_stands_in_lines(
    lines: list[str], at: int, column: int, kind: str, frame: str
) -> None:
    line = lines[at] if at < len(lines) else ""
    line = frame.format(f"{line[:column]} {CANARY} {line[column:]}")
    body = "\n".join([*lines[:at], line, *lines[at + 1 :]])
    cue = "00:00.000 --> 00:01.000\n"
    head = {"vtt": f"WEBVTT\n\n{cue}", "srt": f"1\n{cue}"}.get(kind, "")
    assert CANARY not in redacted(FindsWord(), head + body, kind=DocumentKind(kind))


@settings(max_examples=30)
@given(content=st.lists(LINES, max_size=12).map("\n".join))
def test_the_lines_of_a_text_stay_its_lines(content: str) -> None:
    found = redacted(FindsWord("a"), content, kind=DocumentKind.TEXT)
    assert len(found.splitlines()) == len(content.splitlines())


def test_replacements_that_meet_are_refused_and_nothing_is_written() -> None:
    document = read_document("abc")
    doubled = replace(document, cells=((document.cells[0][0] * 2,),))
    with pytest.raises(Exception, match="could not be written back"):
        doubled.render([[(Replacement(0, 2, "x"), Replacement(1, 3, "y"))]])

"""Calls as the product hears them: spoken by synthetic voices, recognised, labels carried over.

``as_heard`` speaks a labelled call on two channels, hears it as the pipeline does (windows, word
times, turns and roles are the product's own) and gives the heard turns the labels of what was
said. For each turn that was said, its words and the words heard in its time are aligned by a
dynamic programme over words (Levenshtein 1966, with the share of differing letters as the cost of
a substitution); a word heard in two, or two heard in one, count as one.

The command::

    python -m qa_monitor.training.heard_forms --calls DIR_OR_JSONL... --voices sample|held-out
        --out FILE.jsonl [--seed N] [--limit N] [--jobs N] [--telling-only]

Folders hold written calls (``training.labelled_calls``), files one labelled call a line. Calls
whose id is in FILE already are left out, so that a run that was broken off is started again with
the same command. The speech engines keep state from call to call: runs differ in single words.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import SAMPLE_RATE_HZ, DecodedAudio, EntityType, Turn, Word
from qa_monitor.errors import TranscriptionError
from qa_monitor.redaction.words import NUMBER_WORDS, ORDINALS
from qa_monitor.speakers import assign_speakers
from qa_monitor.training.ner_data import read_written_calls
from qa_monitor.training.recogniser.text import digits, speakable
from qa_monitor.training.voices import (
    HELD_OUT_VOICES,
    SAMPLE_VOICES,
    TELEPHONE_RATE_HZ,
    Samples,
    Voice,
    resample,
    say,
    telephone,
)
from qa_monitor.transcription import FasterWhisperRecogniser, Recogniser, normalise_words

__all__ = ["SaidWord", "align", "as_heard", "main", "said_words"]

_MODEL: Final = Path(__file__).parents[2] / "models" / "embedded-whisper"
_AGENT: Final = 0
_LEAD_S, _TAIL_S = 0.7, 1.0

# --- what is said --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SaidWord:
    """A word to say: ``token`` as a voice is given it, ``word`` as a recogniser is to write it.

    ``label`` is the index of its label in the turn, ``None`` outside labels.
    """

    token: str = field(repr=False)
    word: str = field(repr=False)
    label: int | None = None


_CODES = frozenset(EntityType) - {
    EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION, EntityType.DATE,
    EntityType.AGE, EntityType.EMAIL, EntityType.URL,
}  # fmt: skip
_NET = frozenset({EntityType.EMAIL, EntityType.URL, EntityType.IP})
_NET_MARKS = (
    (r"://", " colon slash slash "), (r"\bwww\b", "w w w"), (r"(?<=\w)@(?=\w)", " at "),
    (r"(?<=\w)\.(?=\w)", " dot "), (r"(?<=\w)_(?=\w)", " underscore "),
    (r"(?<=\w)-(?=\w)", " dash "), (r"(?<=\w)/(?=\w)", " slash "),
)  # fmt: skip


def said_words(turn: Mapping[str, Any], *, zero: str = "oh") -> list[SaidWord]:
    """The words of a labelled turn as they are said; digits of codes one by one.

    ``zero`` is how a nought in them is said.
    """
    text: str = turn["text"]
    labels = sorted(enumerate(turn["phi"]), key=lambda item: int(item[1]["start"]))
    words: list[SaidWord] = []
    position = 0
    for index, label in labels:
        start, end = int(label["start"]), int(label["end"])
        _add(words, text[position:start], None, glued=text[:position][-1:])
        kind = EntityType(label["type"])
        _add(words, _sayable(text[start:end], kind, zero), index, glued=text[:start][-1:])
        position = end
    _add(words, text[position:], None, glued=text[:position][-1:])
    return words


def _sayable(value: str, kind: EntityType, zero: str) -> str:
    if kind in _NET:
        for pattern, words in _NET_MARKS:
            value = re.sub(pattern, words, value)
    if kind in _CODES:
        value = re.sub(r"(?<=\w)[-/()+]+ ?(?=\w)", ", ", value)
        value = re.sub(r"[A-Z]{2,5}(?![a-z])", lambda match: " ".join(match[0]), value)
        value = re.sub(r"(?<=\d) (?=\d)", ", ", value)
        value = re.sub(r"\d+", lambda match: f" {digits(match[0], zero)} ", value)
    elif kind is EntityType.DATE:
        value = re.sub(r"(?<=\d)[-/.](?=\d)", ", ", value)
    return value


def _add(words: list[SaidWord], text: str, label: int | None, *, glued: str = "") -> None:
    """Appends the words of ``text``; what is glued to the word before it joins that word."""
    if glued.strip() and words and (mark := re.match(r"(?:['’]\w+)?[.,;:?!]*", text)) and mark[0]:
        last = words[-1]
        ending = re.sub(r"[^a-z']", "", mark[0].lower().replace("’", "'"))
        words[-1] = SaidWord(
            token=last.token.rstrip(".,?!;:") + mark[0].replace("’", "'"),
            word=last.word + ending,
            label=last.label,
        )
        text = text[mark.end() :]
    line = speakable(re.sub(r" +([,.;:?!])", r"\1", text))
    if line is None:
        return
    spelled = [len(word) == 1 for word in line.words]
    for index, (token, word) in enumerate(zip(line.tokens, line.words, strict=True)):
        around = [spelled[i] for i in (index - 1, index + 1) if 0 <= i < len(spelled)]
        is_letter = spelled[index] and (word not in "ai" or (label is not None and all(around)))
        words.append(SaidWord(token.upper() if is_letter else token, word, label))


# --- the sound of a call -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _SaidTurn:
    """A turn that was said, on its channel, from ``start_s`` to ``end_s``."""

    channel: int
    start_s: float
    end_s: float
    words: Sequence[SaidWord] = field(repr=False)
    labels: Sequence[Mapping[str, Any]] = field(repr=False)


def _speak(
    call: Mapping[str, Any], voices: Sequence[Voice], rng: np.random.Generator
) -> tuple[DecodedAudio, list[_SaidTurn]]:
    """The call on two channels, the agent's first, and what was said when."""
    chosen = [voices[int(i)] for i in rng.permutation(len(voices))[:2]]
    speakers = [(chosen[0], *rng.uniform(0.94, 1.06, 2)), (chosen[-1], *rng.uniform(0.94, 1.06, 2))]
    zero = str(rng.choice(["oh", "oh", "zero"]))
    pieces: list[tuple[int, float, Samples]] = []
    turns: list[_SaidTurn] = []
    now_s = _LEAD_S
    for turn in call["turns"]:
        words = said_words(turn, zero=zero)
        if not words:
            continue
        channel = _AGENT if turn["speaker"] == "agent" else 1 - _AGENT
        voice, rate, pitch = speakers[channel]
        speech = say(voice, " ".join(word.token for word in words), float(rate), float(pitch))
        sound = resample(speech.samples, speech.sample_rate_hz, TELEPHONE_RATE_HZ)
        start_s = now_s + (float(rng.uniform(0.3, 0.8)) if turns else 0.0)
        now_s = start_s + len(sound) / TELEPHONE_RATE_HZ
        pieces.append((channel, start_s, sound))
        turns.append(_SaidTurn(channel, start_s, now_s, words, turn["phi"]))
    lines = np.zeros((2, round((now_s + _TAIL_S) * TELEPHONE_RATE_HZ)), np.float32)
    for channel, start_s, sound in pieces:
        begin = round(start_s * TELEPHONE_RATE_HZ)
        part = sound[: lines.shape[1] - begin]
        lines[channel, begin : begin + len(part)] += part
    heard = [
        resample(telephone(line, TELEPHONE_RATE_HZ, rng), TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ)
        for line in lines
    ]
    samples: NDArray[np.int16] = np.round(np.clip(heard, -1.0, 1.0) * 32767.0).astype(np.int16)
    return DecodedAudio(samples), turns


# --- said and heard ------------------------------------------------------------------------------

Pair = tuple[range, range]
"""Words said and the words heard for them, as indices; one of the two is always one word."""

_GAP: Final = 0.6
_JOINED: Final = 0.1
_LEAST_ALIKE: Final = 0.5
_LONGEST_JOINED: Final = 5
_ALIKE: Final = 1 / 3
"""At most this share of the letters differs between a word and what still tells it."""


@lru_cache(maxsize=200_000)
def _unlike(said: str, heard: str) -> float:
    """The share of letters by which two words differ, 0 to 1."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_distance(said, heard))


def align(said: Sequence[str], heard: Sequence[str]) -> list[Pair]:
    """Which heard words stand for which said words, in order; words lost or added are in no pair.

    The alignment of least cost, where a word lost or added costs 0.6 and a substitution the share
    of letters that differ. Words in a row count as one where they are more alike when joined.
    """
    costs = np.full((len(said) + 1, len(heard) + 1), np.inf)
    steps: dict[tuple[int, int], tuple[int, int]] = {}
    costs[0, :] = np.arange(len(heard) + 1) * _GAP
    costs[:, 0] = np.arange(len(said) + 1) * _GAP
    for i in range(1, len(said) + 1):
        for j in range(1, len(heard) + 1):
            ways = [
                (costs[i - 1, j - 1] + _unlike(said[i - 1], heard[j - 1]), (1, 1)),
                (costs[i - 1, j] + _GAP, (1, 0)),
                (costs[i, j - 1] + _GAP, (0, 1)),
            ]
            for count in range(2, _LONGEST_JOINED + 1):
                if count <= j:
                    cost = _joined_cost(said[i - 1], tuple(heard[j - count : j]))
                    ways.append((costs[i - 1, j - count] + cost, (1, count)))
                if count <= i:
                    cost = _joined_cost(heard[j - 1], tuple(said[i - count : i]))
                    ways.append((costs[i - count, j - 1] + cost, (count, 1)))
            costs[i, j], steps[i, j] = min(ways)
    pairs: list[Pair] = []
    i, j = len(said), len(heard)
    while i and j:
        rows, columns = steps[i, j]
        if rows and columns:
            pairs.append((range(i - rows, i), range(j - columns, j)))
        i, j = i - rows, j - columns
    return pairs[::-1]


def _joined_cost(word: str, parts: tuple[str, ...]) -> float:
    """What it costs to take ``parts`` for ``word``; infinite where one of them alone is as good."""
    length = sum(map(len, parts))
    if not len(word) <= 2 * length <= 4 * len(word):
        return float("inf")
    unlike = _unlike("".join(parts), word)
    if unlike > _LEAST_ALIKE or unlike > min(_unlike(part, word) for part in parts) - _JOINED:
        return float("inf")
    return unlike + _JOINED * (len(parts) - 1)


def _is_coded(word: str) -> bool:
    """Whether ``word`` is a digit, a number word or a letter."""
    return len(word) == 1 or word in NUMBER_WORDS or word in ORDINALS or word.isdecimal()


@dataclass(slots=True)
class _Mark:
    """What is known of a heard word: its label, and whether it still tells the value."""

    label: tuple[int, int]  # said turn and label of it
    is_telling: bool


def _marks(turn: int, said: _SaidTurn, heard: Sequence[str]) -> dict[int, _Mark]:
    """For heard words of a said turn, the labels that they carry."""
    words = [word.word for word in said.words]
    coded = _coded_labels(said.words)
    marks: dict[int, _Mark] = {}
    for rows, columns in align(words, heard):
        label = next((said.words[i].label for i in rows if said.words[i].label is not None), None)
        if label is None:
            continue
        unlike = _unlike("".join(words[i] for i in rows), "".join(heard[j] for j in columns))
        is_code = label in coded or any(_is_coded(words[i]) for i in rows)
        for j in columns:
            is_telling = unlike <= _ALIKE or (is_code and _is_coded(heard[j]))
            marks[j] = _Mark((turn, label), is_telling)
    for left, right in itertools.pairwise(sorted(marks)):
        if marks[left].label == marks[right].label:
            for j in range(left + 1, right):
                is_telling = marks[left].label[1] in coded and _is_coded(heard[j])
                marks[j] = _Mark(marks[left].label, is_telling)
    return marks


def _coded_labels(words: Sequence[SaidWord]) -> set[int]:
    """The labels that are digits or letters, at least by half."""
    of_label: dict[int, list[bool]] = {}
    for word in words:
        if word.label is not None:
            of_label.setdefault(word.label, []).append(_is_coded(word.word))
    return {label for label, coded in of_label.items() if 2 * sum(coded) >= len(coded)}


def as_heard(
    call: Mapping[str, Any],
    recogniser: Recogniser,
    *,
    voices: Sequence[Voice],
    seed: int,
    telling_only: bool = False,
) -> dict[str, Any] | None:
    """``call`` spoken by two of ``voices`` and heard by ``recogniser``; ``None`` if nothing was.

    The turns are the product's, ``{"speaker", "text", "phi", "ignored", "said"}``; ``said`` lists
    the turns of ``call`` most words of which were heard in this one, so that what a reader said of
    them is said of it. ``heard`` says how it went: words said and wrong, seconds. Raises
    ``TranscriptionError``.

    Every heard word that is aligned to a word of a value is labelled with its type, also where it
    became another word, and what was heard between two of them: redaction is to learn that an
    answer stays an answer. Neighbours of one value are one span; a value that was heard in two
    turns is one in each.

    With ``telling_only``, for measuring, a word is labelled only if it still tells the value: a
    digit, number word or letter heard in a value of digits or letters, or for a digit, number word
    or letter of another value; else a word of which at most a third of the letters differ from the
    word said. The others became ordinary words, which tell nothing: ``ignored`` lists them as
    ``[start, end]``, and they count neither as missed nor as wrongly redacted.
    """
    rng = np.random.default_rng([seed, zlib.crc32(str(call["id"]).encode())])
    audio, said = _speak(call, voices, rng)
    transcript = recogniser.transcribe(str(call["id"]), audio)
    if not transcript.segments:
        return None
    dialogue = assign_speakers(transcript, audio, agent_channel=_AGENT)
    channel_of = {
        id(word): segment.channel for segment in transcript.segments for word in segment.words
    }
    heard: list[list[tuple[Word, int, int]]] = [[] for _ in said]
    for turn in dialogue.turns:
        for index, word in enumerate(turn.words):
            place = _nearest(said, channel_of[id(word)], word)
            if place is not None:
                heard[place].append((word, turn.index, index))
    marks: dict[tuple[int, int], _Mark] = {}
    wrong = count = 0
    for number, (turn_said, words) in enumerate(zip(said, heard, strict=True)):
        words.sort(key=lambda item: item[0].start_s)
        texts = [normalise_words(word.text).replace(" ", "") for word, _, _ in words]
        wrong += _errors([word.word for word in turn_said.words], texts)
        count += len(turn_said.words)
        for index, mark in _marks(number, turn_said, texts).items():
            marks[words[index][1:]] = mark
    said_in: dict[int, list[int]] = {}
    for number, words in enumerate(heard):
        if words:
            most, _ = Counter(index for _, index, _ in words).most_common(1)[0]
            said_in.setdefault(most, []).append(number)
    return {
        **call,
        "turns": [
            {**_labelled(turn, said, marks, telling_only), "said": said_in.get(turn.index, [])}
            for turn in dialogue.turns
        ],
        "heard": {
            "by": recogniser.name,
            "words": count,
            "wrong_words": wrong,
            "duration_s": round(audio.duration_s, 1),
            "dropped_s": transcript.dropped_s,
        },
    }


def _errors(said: Sequence[str], heard: Sequence[str]) -> int:
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(said, heard))


def _nearest(said: Sequence[_SaidTurn], channel: int, word: Word) -> int | None:
    """The index of the turn that was being said on ``channel`` when ``word`` was heard."""
    middle_s = (word.start_s + word.end_s) / 2

    def distance_s(index: int) -> float:
        turn = said[index]
        return max(turn.start_s - middle_s, middle_s - turn.end_s, 0.0)

    own = [index for index, turn in enumerate(said) if turn.channel == channel]
    return min(own, key=distance_s, default=None)


def _labelled(
    turn: Turn,
    said: Sequence[_SaidTurn],
    marks: Mapping[tuple[int, int], _Mark],
    telling_only: bool,
) -> dict[str, Any]:
    phi: list[dict[str, Any]] = []
    ignored: list[list[int]] = []
    start = 0
    open_label: tuple[int, int] | None = None
    for index, word in enumerate(turn.words):
        end = start + len(word.text)
        mark = marks.get((turn.index, index))
        if mark is not None and telling_only and not mark.is_telling:
            ignored.append([start, end])
            mark = None
        if mark is not None and mark.label == open_label:
            phi[-1]["end"] = end
        elif mark is not None:
            kind = said[mark.label[0]].labels[mark.label[1]]["type"]
            phi.append({"start": start, "end": end, "type": kind})
        open_label = mark.label if mark is not None else None
        start = end + 1
    for span in phi:
        span["text"] = turn.text[span["start"] : span["end"]]
    return {"speaker": turn.role.value, "text": turn.text, "phi": phi, "ignored": ignored}


# --- the command ---------------------------------------------------------------------------------


def _read(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The calls of folders and files, each id once."""
    seen: set[str] = set()
    for path in paths:
        if path.is_dir():
            calls: Iterator[dict[str, Any]] = read_written_calls(path)
        else:
            calls = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        for call in calls:
            if call["id"] not in seen:
                seen.add(call["id"])
                yield call


def _finished(path: Path) -> set[str]:
    """The ids of the calls in ``path``; a line that was broken off is cut away."""
    if not path.exists():
        return set()
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)
    return {json.loads(line)["id"] for line in whole.decode("utf-8").splitlines()}


@cache
def _recogniser(model: Path) -> FasterWhisperRecogniser:
    """The recogniser of this process, on one thread."""
    return FasterWhisperRecogniser(model, device="cpu", threads=1)


_Settings = tuple[Path, Sequence[Voice], int, bool]


def _hear(call: Mapping[str, Any], settings: _Settings) -> dict[str, Any] | None:
    """``as_heard`` by this process; ``None`` also where it failed."""
    model, voices, seed, telling_only = settings
    with suppress(TranscriptionError):
        return as_heard(
            call, _recogniser(model), voices=voices, seed=seed, telling_only=telling_only
        )
    return None


def _hear_all(
    calls: Sequence[Mapping[str, Any]], settings: _Settings, jobs: int
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The calls' ids and what was heard, as they are done; by other processes if ``jobs`` > 1."""
    if jobs == 1:
        for call in calls:
            yield call["id"], _hear(call, settings)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_hear, call, settings): call["id"] for call in calls}
        for job in as_completed(running):
            yield running[job], job.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when every call was heard, 1 when some were not."""
    parser = argparse.ArgumentParser(description="Speak labelled calls and hear them again.")
    parser.add_argument("--calls", type=Path, nargs="+", required=True, help="folders or *.jsonl")
    parser.add_argument("--voices", choices=("sample", "held-out"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="JSON Lines; added to")
    parser.add_argument("--model", type=Path, default=_MODEL, help="recogniser (embedded-whisper)")
    parser.add_argument("--seed", type=int, default=0, help="seed of voices and pauses (0)")
    parser.add_argument("--limit", type=int, default=None, help="at most so many calls")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each (1)")
    parser.add_argument(
        "--telling-only", action="store_true", help="label only what still tells a value"
    )
    options = parser.parse_args(arguments)
    voices = tuple((SAMPLE_VOICES if options.voices == "sample" else HELD_OUT_VOICES).values())
    finished = _finished(options.out)
    calls = [call for call in _read(options.calls) if call["id"] not in finished]
    calls = calls[: options.limit]
    # Inherited by the processes: each is to use one core.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    failed = 0
    progress = _Progress(len(calls))
    settings = (options.model, voices, options.seed, options.telling_only)
    with options.out.open("a", encoding="utf-8") as out:
        for call_id, call in _hear_all(calls, settings, options.jobs):
            if call is None:
                failed += 1
                print(f"{call_id}: nothing was heard; run the command again.", file=sys.stderr)
                continue
            out.write(json.dumps(call, ensure_ascii=False) + "\n")
            out.flush()
            progress.add(call)
    return int(failed > 0)


class _Progress:
    """Says on stderr how far it is, how fast, and how well it hears."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begun = time.monotonic()
        self._calls = self._words = self._wrong = 0
        self._spoken_s = 0.0

    def add(self, call: Mapping[str, Any]) -> None:
        """Counts a call that was heard."""
        self._calls += 1
        self._words += call["heard"]["words"]
        self._wrong += call["heard"]["wrong_words"]
        self._spoken_s += call["heard"]["duration_s"]
        print(
            f"{self._calls} of {self._total}: {call['id']}, "
            f"word error rate {self._wrong / max(1, self._words):.1%}, "
            f"{self._spoken_s / max(1e-6, time.monotonic() - self._begun):.0f} times real time",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())

"""Who speaks when, and who that is: turns by channel or by voice, roles by configuration and words.

A recording with a channel for each side gives turns in time order; what leaked from one side into
the other is taken out. A mono recording is split by voice. Roles come from the configured channel
and are checked against what is said, or from what is said alone; ``unknown`` is an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import (
    SAMPLE_RATE_HZ,
    DecodedAudio,
    Dialogue,
    Role,
    Segment,
    Transcript,
    Turn,
    Word,
)
from qa_monitor.speakers.voices import tell_voices

__all__ = ["assign_speakers"]

# --- what agents and callers say -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cue:
    """Words that speak for a role; ``weight`` is added to its log odds, at most twice a call."""

    role: Literal[Role.AGENT, Role.CALLER, Role.SYSTEM]
    weight: float
    pattern: str


_CUES = (
    # The agent opens, asks for identifiers, looks things up, offers and closes.
    _Cue(Role.AGENT, 3.0, r"\b(thank you|thanks) for (calling|holding|waiting)\b"),
    _Cue(Role.AGENT, 3.0, r"\bhow (can|may|could) (i|we) (help|assist)\b"),
    _Cue(Role.AGENT, 2.5, r"\b(is there )?anything else (i|we) can\b"),
    _Cue(Role.AGENT, 2.5, r"\b(can|may|could) i (please )?(have|get|confirm|verify) your\b"),
    _Cue(
        Role.AGENT,
        2.0,
        r"\b(what is|what's|verify|confirm|and) your (full |first |last )?"
        r"(name|date of birth|birthday|phone|member|account|address)\b",
    ),
    _Cue(
        Role.AGENT,
        2.0,
        r"\b(let me|i will|i'll) (just )?(check|look|pull|see|take a look|"
        r"transfer|connect|send|put|schedule|book|note|get you)\b",
    ),
    _Cue(Role.AGENT, 2.0, r"\b(one moment|bear with me|please hold|on a brief hold)\b"),
    _Cue(Role.AGENT, 2.0, r"\b(you are|you're) all set\b|\bi (do )?have (an|a) (opening|slot)\b"),
    _Cue(
        Role.AGENT, 1.5, r"\b(i am|i'm) (so |very |really )?sorry (to hear|about that|that you)\b"
    ),
    _Cue(
        Role.AGENT,
        1.5,
        r"\b(do you have|have you had|are you having|are you taking|how long "
        r"have you|when did (it|this|the))\b",
    ),
    _Cue(
        Role.AGENT,
        1.5,
        r"\bwhat (is|are) the (reason|best)\b|\bwould that work\b|"
        r"\bdoes that work for you\b",
    ),
    _Cue(
        Role.AGENT,
        1.0,
        r"\b(department|clinic|medical|health|office|pharmacy|center|centre|"
        r"hospital),? (this is|my name is)\b",
    ),
    _Cue(Role.AGENT, 1.0, r"\b(hang up and |please )?call nine one one\b|\bcall 911\b"),
    _Cue(Role.AGENT, 1.0, r"\bi (can|could) (schedule|book|offer|see that|help you)\b"),
    _Cue(Role.AGENT, 1.0, r"\bhave a (good|great|nice|wonderful) (day|one|evening|weekend)\b"),
    _Cue(Role.AGENT, 0.5, r"\b(ma'am|sir)\b|\byou(?:'re| are) welcome\b"),
    # The caller says what is wanted, what hurts and whose it is.
    _Cue(
        Role.CALLER,
        2.5,
        r"\bi (need|want|would like|wanted) (to|a|an|some)\b|"
        r"\bi'd like (to|a|an)\b",
    ),
    _Cue(
        Role.CALLER, 2.0, r"\bi(?:'m| am| was)? (just )?(calling|called) (about|because|to|for)\b"
    ),
    _Cue(
        Role.CALLER,
        2.0,
        r"\bmy (date of birth|birthday|member id|member number|policy number|"
        r"account number|phone number) is\b",
    ),
    _Cue(
        Role.CALLER,
        2.0,
        r"\bmy (chest|head|back|arm|leg|stomach|throat|heart|side|knee|foot|"
        r"ear|eye|jaw|neck|face|hand|belly)\b",
    ),
    _Cue(
        Role.CALLER,
        2.0,
        r"\bmy (son|daughter|husband|wife|mother|father|mom|dad|baby|child|"
        r"doctor|prescription|insurance|medication|copay|bill|appointment|"
        r"refill|surgery|results)\b",
    ),
    _Cue(
        Role.CALLER,
        2.0,
        r"\bi(?:'ve| have| had| am having|'m having)( been| got| had)? (a |an |"
        r"this |some |really |bad )*(pain|fever|cough|headache|rash|cold|"
        r"trouble|sick|dizzy|throwing|bleeding|feeling|having|vomiting)\b",
    ),
    _Cue(
        Role.CALLER,
        1.5,
        r"\bi(?:'m| am| feel|'ve been| was)( so| really| very| just| a bit)? "
        r"(scared|worried|dizzy|sick|in pain|upset|nervous|afraid|anxious)\b",
    ),
    _Cue(
        Role.CALLER,
        1.5,
        r"\b(it|that) (hurts|burns|aches|itches)\b|\bi can(?:'t| not|not) "
        r"(breathe|sleep|eat|move|feel|afford)\b",
    ),
    _Cue(
        Role.CALLER,
        1.5,
        r"\b(should i|do i need|can i (come|make|get an|schedule|see|speak|talk)|"
        r"what (do|should) i do)\b",
    ),
    _Cue(Role.CALLER, 1.5, r"\bi (got|received|already paid|ran out|lost|missed)\b"),
    _Cue(Role.CALLER, 1.0, r"\b(thank you so much|thanks so much|you've been)\b"),
    # Machines.
    _Cue(Role.SYSTEM, 3.0, r"\b(this|your) call (may|will|is going to) be (recorded|monitored)\b"),
    _Cue(
        Role.SYSTEM,
        3.0,
        r"\bpress (zero|one|two|three|four|five|six|seven|eight|nine|pound|"
        r"star|\d)\b",
    ),
    _Cue(Role.SYSTEM, 3.0, r"\byour call is (very )?important to us\b|\byou are (number|next)\b"),
    _Cue(
        Role.SYSTEM,
        2.0,
        r"\b(please )?(stay on the line|remain on the line|continue to hold|"
        r"hold the line)\b.*\b(next|available|representative|answered)\b",
    ),
    _Cue(Role.SYSTEM, 2.0, r"\bnext available (agent|representative|nurse|associate)\b"),
    _Cue(Role.SYSTEM, 2.0, r"\b(leave a message|after the tone|at the tone)\b"),
)
_PATTERNS = tuple((cue, re.compile(cue.pattern)) for cue in _CUES)
_SYSTEM_NEEDS = 3.0
_MOST_HITS = 2

# Words that a listener says to be heard listening; they do not end the other's turn.
_BACKCHANNELS = frozenset(
    "ah alright aha gotcha hm hmm huh mhm mm mmm mmhm mmhmm oh okay ok right see sure uh uhhuh "
    "um yeah yep yup i".split()
)

# --- settings ------------------------------------------------------------------------------------

_PAUSE_S = 3.0  # one speaker's words this far apart are two turns
_BREATH_S = 0.5  # a shorter gap is inside an utterance
_BACKCHANNEL_S = 1.2
_BLEED_DB = 6.0
_BLEED_TIME_S = 0.5
_BLEED_CORRELATION = 0.5
_CONFIGURED_LOG_ODDS = 3.5  # what a configured channel weighs against words
_FIRST_LOG_ODDS = 0.7  # who is heard first is a little more often the agent
_DECIDED = 0.7  # below this confidence a role is unknown
_MIXED = 4.0  # so much of both roles is not one person
_CUE_SHARE = 0.6  # cues of one call are not independent


@dataclass(frozen=True, slots=True)
class _Said:
    """One word, where it was heard and by whom it was said."""

    word: Word
    channel: int
    is_doubtful: bool
    speaker: int

    @property
    def key(self) -> str:
        return re.sub(r"[^\w']", "", self.word.text.casefold())


def assign_speakers(
    transcript: Transcript,
    audio: DecodedAudio,
    *,
    agent_channel: int | None,
    swap_on_contradiction: bool = False,
) -> Dialogue:
    """The call as turns with speakers and roles, in order of their beginning.

    ``audio`` is the sound that ``transcript`` was made from; ``agent_channel`` the channel that
    the source records its agents on, counted from 0, or ``None`` to go by what is said alone.
    Where what is said contradicts the configured channel, roles stay and their confidence falls
    below one half; with ``swap_on_contradiction`` they are exchanged instead.

    With one channel, or where only one of several holds speech, turns are told apart by voice.
    Speakers are named ``channel-0`` or ``voice-0``. The same input gives the same answer.
    """
    said = list(_words(transcript))
    live = sorted({word.channel for word in said})
    if len(live) > 1:
        said = _without_bleed(said, audio)
        live = sorted({word.channel for word in said})
    voice_confidence = 1.0
    prefix = "channel"
    if len(live) == 1:
        words = [item.word for item in said]
        voices = tell_voices(words, audio.samples[live[0]], is_one_side=audio.channels > 1)
        if audio.channels == 1 or len(set(voices.labels)) > 1:
            prefix, voice_confidence = "voice", voices.confidence
            said = [
                replace(item, speaker=label)
                for item, label in zip(said, voices.labels, strict=True)
            ]
    utterances = _join_turns(_utterances(said))
    configured = agent_channel if prefix == "channel" and audio.channels > 1 else None
    roles = _roles(utterances, configured, swap_on_contradiction=swap_on_contradiction)
    turns = []
    for index, utterance in enumerate(utterances):
        role, confidence = roles[utterance.speaker]
        if prefix == "voice" and role is not Role.UNKNOWN:
            confidence *= voice_confidence
        if _cue_weights(utterance.text)[Role.SYSTEM] >= _SYSTEM_NEEDS:
            role, confidence = _system_or(role, confidence, utterance.text)
        turns.append(
            Turn(
                index=index,
                speaker=f"{prefix}-{utterance.speaker}",
                role=role,
                role_confidence=round(confidence, 3),
                start_s=utterance.start_s,
                end_s=utterance.end_s,
                text=utterance.text,
                words=tuple(item.word for item in utterance.said),
                is_doubtful=utterance.is_doubtful,
            )
        )
    return Dialogue(
        call_id=transcript.call_id,
        language=transcript.language,
        asr_model=transcript.asr_model,
        dropped_s=transcript.dropped_s,
        turns=tuple(turns),
    )


def _words(transcript: Transcript) -> Iterator[_Said]:
    for segment in transcript.segments:
        for word in segment.words or _spread(segment):
            yield _Said(word, segment.channel, segment.is_doubtful, segment.channel)


def _spread(segment: Segment) -> Iterator[Word]:
    """The words of a segment that came without times, spread evenly over it."""
    texts = segment.text.split()
    step = (segment.end_s - segment.start_s) / max(1, len(texts))
    for index, text in enumerate(texts):
        start = segment.start_s + index * step
        yield Word(text=text, start_s=start, end_s=start + step, confidence=segment.confidence)


# --- leakage between channels --------------------------------------------------------------------


def _without_bleed(said: list[_Said], audio: DecodedAudio) -> list[_Said]:
    """``said`` without the words that a channel only overheard from a louder one.

    A word is overheard when, while it lasts, another channel is at least 6 dB louder and either
    has the same word at that time or carries the same sound.
    """
    times = np.array([item.word.start_s for item in said])
    order = np.argsort(times, kind="stable")
    kept = []
    for index, item in enumerate(said):
        around = order[
            np.searchsorted(times[order], item.word.start_s - _BLEED_TIME_S) : np.searchsorted(
                times[order], item.word.start_s + _BLEED_TIME_S, side="right"
            )
        ]
        others = [said[other] for other in around if said[other].channel != item.channel]
        if not any(_is_overheard(said[index], other, audio) for other in others):
            kept.append(item)
    return kept


def _is_overheard(item: _Said, other: _Said, audio: DecodedAudio) -> bool:
    margin = int(0.05 * SAMPLE_RATE_HZ)
    start = max(0, int(item.word.start_s * SAMPLE_RATE_HZ) - margin)
    end = int(item.word.end_s * SAMPLE_RATE_HZ) + margin
    here = audio.samples[item.channel, start:end].astype(np.float64)
    there = audio.samples[other.channel, start:end].astype(np.float64)
    if not len(here) or _level_db(there) - _level_db(here) < _BLEED_DB:
        return False
    if item.key == other.key:
        return True
    return _correlation(here, there) >= _BLEED_CORRELATION


def _level_db(samples: NDArray[np.float64]) -> float:
    return 10.0 * math.log10(float(np.square(samples).mean()) + 1.0)


def _correlation(here: NDArray[np.float64], there: NDArray[np.float64]) -> float:
    """The highest correlation of the two within 10 ms of delay, 0 to 1."""
    from scipy.signal import correlate

    scale = math.sqrt(float(np.square(here).sum()) * float(np.square(there).sum()))
    if scale == 0.0:
        return 0.0
    crossed = np.abs(correlate(here, there, mode="full", method="fft"))
    middle, reach = len(there) - 1, int(0.01 * SAMPLE_RATE_HZ)
    return float(crossed[max(0, middle - reach) : middle + reach + 1].max()) / scale


# --- turns ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Utterance:
    """Words of one speaker in a row."""

    speaker: int
    said: list[_Said] = field(repr=False)

    @property
    def start_s(self) -> float:
        return self.said[0].word.start_s

    @property
    def end_s(self) -> float:
        return self.said[-1].word.end_s

    @property
    def text(self) -> str:
        return " ".join(item.word.text for item in self.said)

    @property
    def is_doubtful(self) -> bool:
        return 2 * sum(item.is_doubtful for item in self.said) >= len(self.said)

    @property
    def is_backchannel(self) -> bool:
        return (
            len(self.said) <= 3
            and self.end_s - self.start_s <= _BACKCHANNEL_S
            and all(item.key in _BACKCHANNELS for item in self.said)
        )


def _utterances(said: Iterable[_Said]) -> list[_Utterance]:
    """Runs of each speaker's words without a breath between them, in order of their beginning."""
    runs: dict[int, list[_Utterance]] = {}
    for item in sorted(said, key=lambda item: (item.word.start_s, item.word.end_s)):
        own = runs.setdefault(item.speaker, [])
        if own and item.word.start_s - own[-1].end_s < _BREATH_S:
            own[-1].said.append(item)
        else:
            own.append(_Utterance(item.speaker, [item]))
    every = [utterance for own in runs.values() for utterance in own]
    return sorted(every, key=lambda utterance: (utterance.start_s, utterance.speaker))


def _join_turns(utterances: Sequence[_Utterance]) -> list[_Utterance]:
    """Utterances joined to turns: until the other speaks, save for a "mm-hm", or a long pause."""
    turns: list[_Utterance] = []
    for utterance in utterances:
        mine = next((turn for turn in reversed(turns) if turn.speaker == utterance.speaker), None)
        if mine is not None and utterance.start_s - mine.end_s < _PAUSE_S:
            others = (turn for turn in turns if turn.speaker != utterance.speaker)
            if all(turn.end_s <= mine.end_s or turn.is_backchannel for turn in others):
                mine.said.extend(utterance.said)
                continue
        turns.append(_Utterance(utterance.speaker, list(utterance.said)))
    return turns


# --- roles ---------------------------------------------------------------------------------------


def _cue_weights(text: str) -> dict[Role, float]:
    """How much of each role is in ``text``: the weights of its cues, each at most twice."""
    found = {Role.AGENT: 0.0, Role.CALLER: 0.0, Role.SYSTEM: 0.0}
    folded = re.sub(r"[^\w' ]+", " ", text.casefold().replace("’", "'"))
    folded = " ".join(folded.split())
    for cue, pattern in _PATTERNS:
        hits = min(_MOST_HITS, sum(1 for _ in pattern.finditer(folded)))
        found[cue.role] += cue.weight * hits
    return found


def _agent_log_odds(text: str) -> float:
    weights = _cue_weights(text)
    return weights[Role.AGENT] - weights[Role.CALLER]


def _system_or(role: Role, confidence: float, text: str) -> tuple[Role, float]:
    """``SYSTEM``, unless a person is heard in the same words."""
    weights = _cue_weights(text)
    if max(weights[Role.AGENT], weights[Role.CALLER]) > weights[Role.SYSTEM]:
        return role, confidence
    return Role.SYSTEM, _sigmoid(weights[Role.SYSTEM] - weights[Role.CALLER])


def _roles(
    utterances: Sequence[_Utterance], agent_channel: int | None, *, swap_on_contradiction: bool
) -> dict[int, tuple[Role, float]]:
    """Each speaker's role and how sure it is.

    The agent is the speaker whose words are most an agent's against the others'; the rest are
    callers, or unknown where there are several and their words do not tell.
    """
    texts: dict[int, list[str]] = {}
    for utterance in utterances:
        if _cue_weights(utterance.text)[Role.SYSTEM] < _SYSTEM_NEEDS:
            texts.setdefault(utterance.speaker, []).append(utterance.text)
        else:
            texts.setdefault(utterance.speaker, [])
    whole = {speaker: " . ".join(said) for speaker, said in texts.items()}
    if len(whole) == 1:
        ((speaker, text),) = whole.items()
        return {speaker: _lone_role(speaker, text, agent_channel, swap=swap_on_contradiction)}
    if not whole:
        return {}
    content = {speaker: _CUE_SHARE * _agent_log_odds(text) for speaker, text in whole.items()}
    first = next((turn.speaker for turn in utterances if not turn.is_backchannel), None)

    def standing(speaker: int) -> float:
        """Log odds that this speaker, and none of the others, is the agent."""
        others = [odds for other, odds in content.items() if other != speaker]
        return content[speaker] - max(others) + (_FIRST_LOG_ODDS if speaker == first else 0.0)

    by_content = max(sorted(content), key=standing)
    if agent_channel is None:
        agent, odds = by_content, standing(by_content)
    else:
        agent = agent_channel if agent_channel in content else by_content
        odds = standing(agent) + (_CONFIGURED_LOG_ODDS if agent_channel in content else 0.0)
        if odds < 0 and swap_on_contradiction:
            agent, odds = by_content, -odds
    sure = _sigmoid(odds)
    roles: dict[int, tuple[Role, float]] = {}
    callers = [speaker for speaker in content if speaker != agent]
    for speaker in sorted(content):
        role = Role.AGENT if speaker == agent else Role.CALLER
        confidence = sure
        if role is Role.CALLER and len(callers) > 1 and content[speaker] > -1.0:
            role, confidence = Role.UNKNOWN, 1.0 - _sigmoid(-content[speaker])
        if agent_channel is None and confidence < _DECIDED:
            role = Role.UNKNOWN
        roles[speaker] = role, confidence
    return roles


def _lone_role(
    speaker: int, text: str, agent_channel: int | None, *, swap: bool
) -> tuple[Role, float]:
    """The role of the only speaker heard, by the channel if it is configured, and by words.

    Unknown where what is said would take two: voices too alike to be told apart.
    """
    weights = _cue_weights(text)
    odds = _CUE_SHARE * (weights[Role.AGENT] - weights[Role.CALLER])
    if agent_channel is None:
        role = Role.AGENT if odds > 0 else Role.CALLER
        confidence = _sigmoid(abs(odds))
        is_mixed = min(weights[Role.AGENT], weights[Role.CALLER]) >= _MIXED
        if is_mixed or confidence < _DECIDED:
            return Role.UNKNOWN, min(confidence, _DECIDED)
        return role, confidence
    is_agent = speaker == agent_channel
    odds = (odds if is_agent else -odds) + _CONFIGURED_LOG_ODDS
    if odds < 0 and swap:
        is_agent, odds = not is_agent, -odds
    return (Role.AGENT if is_agent else Role.CALLER), _sigmoid(odds)


def _sigmoid(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, log_odds))))

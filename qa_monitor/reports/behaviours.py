"""What the labels of a call mean to a coach, in plain words.

The names of tasks and labels are those of ``qa_monitor.scoring.labels``. Each behaviour is said as
a coach would say it; each gap carries the one action that closes it, to be said aloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from qa_monitor.calls import Criterion

__all__ = [
    "ACTIONS",
    "CHECKLIST",
    "GAPS",
    "LISTENING_AGAINST",
    "LISTENING_FOR",
    "OPPORTUNITIES",
    "RESPONSES",
    "Behaviour",
    "Gap",
]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A label in plain words.

    ``habit`` completes "The agent ..." about many calls, ``moment`` says what was good or missed
    in one; ``weight`` (0 to 1) says how much a single moment of it teaches.
    """

    habit: str
    moment: str
    weight: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Something to work on, and the action that closes it.

    ``rung`` 0 is worked on before 1: what harms before what is missing, and what is missing before
    what could be finer (the order of the rubric's levels). ``found`` completes "In 3 of 9 calls".
    """

    criterion: Criterion
    rung: int
    title: str
    say: str
    found: str


OPPORTUNITIES = MappingProxyType(
    {
        "emotion": "The caller showed a feeling",
        "difficulty": "The caller told of something hard",
        "loss": "The caller spoke of a loss",
        "fear": "The caller voiced a fear",
        "success": "The caller shared good news",
    }
)

RESPONSES = MappingProxyType(
    {
        "confirmed": Behaviour(
            "answers feelings with specific reassurance",
            "the agent took it seriously and answered it in particular.",
            1.0,
        ),
        "pursued": Behaviour("asks on about what worries callers", "the agent asked on.", 0.9),
        "acknowledged": Behaviour(
            "acknowledges what callers feel", "the agent acknowledged it.", 0.6
        ),
        "perfunctory": Behaviour("", "the answer was a set phrase.", 0.5),
        "none": Behaviour("", "it got no answer.", 0.75),
        "dismissive": Behaviour("", "it was brushed aside.", 0.95),
    }
)

LISTENING_FOR = MappingProxyType(
    {
        "teach_back": Behaviour(
            "checks that callers understood",
            "Checked that the caller understood, by having it told back.",
            0.95,
        ),
        "reflection": Behaviour(
            "puts what callers say into own words",
            "Put what the caller said into own words before going on.",
            0.8,
        ),
        "summary": Behaviour("sums up before closing", "Summed up what was said and agreed.", 0.75),
        "read_back": Behaviour(
            "reads details back", "Read the details back so that a slip could be caught.", 0.6
        ),
        "builds_on": Behaviour(
            "builds on what callers said earlier", "Built on something said earlier.", 0.5
        ),
        "open_question": Behaviour(
            "asks open questions", "Asked an open question and let the caller tell it.", 0.45
        ),
        "clarifying_question": Behaviour(
            "asks when something is unclear", "Asked about what was still unclear.", 0.35
        ),
        "anything_else": Behaviour(
            "asks whether there is anything else", "Made room for anything else.", 0.2
        ),
    }
)

LISTENING_AGAINST = MappingProxyType(
    {
        "ignores_detail": Behaviour("", "A detail the caller gave was passed over.", 0.75),
        "interrupts": Behaviour("", "The caller was cut off before finishing.", 0.7),
        "asks_again": Behaviour("", "Asked again for something the caller had already said.", 0.65),
        "answers_other": Behaviour(
            "", "Answered a different question from the one that was asked.", 0.6
        ),
    }
)

ACTIONS = MappingProxyType(
    {
        "emergency_number": Behaviour(
            "sends emergencies to the emergency number",
            "Sent the caller to the emergency number.",
            1.0,
        ),
        "transfer_now": Behaviour(
            "brings a clinician onto the line", "Brought a clinician onto the line at once.", 0.9
        ),
        "stays_on_line": Behaviour(
            "stays with callers until help is there", "Stayed on the line.", 0.8
        ),
        "same_day": Behaviour("finds a slot the same day", "Found a slot on the same day.", 0.7),
        "timed_callback": Behaviour(
            "promises call-backs with a time", "Promised a call back at a stated time.", 0.65
        ),
        "safety_instruction": Behaviour(
            "says what to do until help comes", "Said what to do until help comes.", 0.7
        ),
        "commitment": Behaviour(
            "has callers agree to the next step", "Had the caller agree to the next step.", 0.65
        ),
        "asks_location": Behaviour(
            "asks where the patient is", "Asked where the patient was.", 0.6
        ),
        "red_flag_question": Behaviour(
            "asks about danger signs", "Asked about danger signs.", 0.55
        ),
        "minimises": Behaviour("", "A warning sign was played down.", 1.0),
    }
)

CHECKLIST = MappingProxyType(
    {
        "greeting": "opens with name and organisation",
        "identity": "checks who is calling",
        "explains": "explains in plain words",
        "next_step": "says what happens next",
        "follow_up": "arranges a follow-up with a time",
        "closing": "closes the call properly",
    }
)

_EMPATHY, _LISTENING, _ESCALATION = (
    Criterion.EMPATHY,
    Criterion.ACTIVE_LISTENING,
    Criterion.ESCALATION,
)

GAPS = MappingProxyType(
    {
        "feeling_brushed_aside": Gap(
            _EMPATHY,
            0,
            "Take every feeling seriously",
            "When a caller is upset, don't argue with the feeling. Say that you hear it, then help "
            "with the matter. For example: “I can hear how much this is weighing on you. Let's "
            "look at it together.”",
            "a feeling was brushed aside",
        ),
        "feeling_passed_over": Gap(
            _EMPATHY,
            0,
            "Answer the feeling before the matter",
            "When a caller says that something is hard or frightening, stop for one sentence and "
            "name it before the next question. For example: “Three nights without sleep – that "
            "sounds exhausting. Let me see what we can do today.”",
            "something the caller felt got no answer",
        ),
        "feeling_set_phrase": Gap(
            _EMPATHY,
            0,
            "Swap the set phrase for the caller's own detail",
            "Instead of “sorry to hear that”, say back the thing they told you. For example: "
            "“Waiting two weeks for that result, no wonder you're worried.”",
            "a feeling was met with a set phrase only",
        ),
        "feeling_one_step_further": Gap(
            _EMPATHY,
            1,
            "Go one step further than “I understand”",
            "After you acknowledge a feeling, add one thing: ask about it, or reassure with a "
            "fact. For example: “That is a worry – what frightens you most about it?”",
            "feelings were acknowledged, and not asked about or answered with something specific",
        ),
        "interrupts": Gap(
            _LISTENING,
            0,
            "Let the caller finish",
            "Wait until the caller has finished, count one breath, then speak. If you must break "
            "in, say why: “Let me stop you there, so that I can write this down.”",
            "the caller was cut off",
        ),
        "ignores_detail": Gap(
            _LISTENING,
            0,
            "Pick up the detail before moving on",
            "When a caller gives you a detail, use it in your next sentence. For example: “You "
            "said the pharmacy changed – I'll send it to the new one.”",
            "a detail the caller gave was passed over",
        ),
        "asks_again": Gap(
            _LISTENING,
            0,
            "Write it down the first time",
            "Note numbers and names as they are said, and read them back once, so that you need "
            "not ask again. If you must, say so: “I have your date of birth; let me check one "
            "number with you.”",
            "the caller was asked again for something already said",
        ),
        "answers_other": Gap(
            _LISTENING,
            0,
            "Answer the question that was asked",
            "Repeat the question in your own words before you answer it. For example: “You want to "
            "know whether the visit is covered – let me check exactly that.”",
            "another question was answered than the one asked",
        ),
        "no_read_back": Gap(
            _LISTENING,
            1,
            "Say it back once in every call",
            "Before you act on what a caller told you, say it back in your own words or read the "
            "numbers back. For example: “So that's the blue inhaler, and you have two days left – "
            "is that right?”",
            "nothing was read back or put into own words",
        ),
        "no_clarifying_question": Gap(
            _LISTENING,
            1,
            "Ask one clarifying question",
            "Before you offer an answer, ask one thing that could change it. For example: “When "
            "did this start?” or “Is it the same pharmacy as last time?”",
            "no clarifying question was asked",
        ),
        "no_open_question": Gap(
            _LISTENING,
            2,
            "Open with a question that cannot be answered with yes",
            "After the greeting, let the caller tell it. For example: “Tell me what's been going "
            "on.”",
            "no open question was asked",
        ),
        "no_teach_back": Gap(
            _LISTENING,
            2,
            "Check that it was understood",
            "After you explain something, ask the caller to tell it back. For example: “I said a "
            "lot there – how will you take it tomorrow?”",
            "nobody checked that the caller understood",
        ),
        "no_anything_else": Gap(
            _LISTENING,
            2,
            "Make room for one more thing",
            "Before you close, ask: “What else can I help with today?” – and wait.",
            "the call closed without asking for anything else",
        ),
        "minimises": Gap(
            _ESCALATION,
            0,
            "Never talk a warning sign down",
            "When a caller mentions a danger sign, leave “it's probably nothing” out. Say: “That "
            "needs looking at now”, and act.",
            "a warning sign was played down",
        ),
        "urgency_missed": Gap(
            _ESCALATION,
            0,
            "Act on the first warning sign",
            "At the first danger sign, stop the routine questions. In an emergency say: “Hang up "
            "and call 911 now – or stay with me while someone else dials.” Otherwise bring a nurse "
            "onto the line, or give a time today.",
            "an urgent call was not passed on",
        ),
        "urgency_late": Gap(
            _ESCALATION,
            0,
            "Act first, take the details after",
            "When you hear that something cannot wait, act on it before you ask for date of birth "
            "or insurance. Say: “This can't wait, so first I'll get you a nurse or a time today; "
            "the paperwork comes after.”",
            "an urgent call was passed on late or only in part",
        ),
        "no_location": Gap(
            _ESCALATION,
            1,
            "Ask where the patient is",
            "In an emergency the first question is: “Where is the patient right now?”",
            "nobody asked where the patient was",
        ),
        "no_safety_instruction": Gap(
            _ESCALATION,
            1,
            "Say what to do until help comes",
            "Before you hand over, give one instruction. For example: “Sit down, unlock the door, "
            "nothing to eat or drink. If it gets worse, call 911.”",
            "no instruction was given for the time until help comes",
        ),
        "no_red_flag_question": Gap(
            _ESCALATION,
            1,
            "Ask about danger signs",
            "When something may be urgent, ask about the danger signs one by one: “Any trouble "
            "breathing? Any chest pain? Did it come on suddenly?”",
            "danger signs were not asked about",
        ),
        "no_commitment": Gap(
            _ESCALATION,
            2,
            "Have the caller agree, or stay on the line",
            "Do not hang up on an emergency before you know that help is called: “Will you do that "
            "right now? I'll stay on the line with you.”",
            "the call ended without the caller's agreement and without staying on the line",
        ),
    }
)

"""The recogniser's vocabulary: a small byte-level BPE in the order CTranslate2 expects.

Text tokens come first, then <|endoftext|>, the other special tokens, and the timestamps
last: faster-whisper takes every id below <|endoftext|> for text and every id above
<|notimestamps|> for a time. A vocabulary below 51,865 tokens is taken as English-only, so
that a prompt is <|startoftranscript|> alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT_TOKENS: Final = 1000
TIMESTAMPS: Final = 1501
SECONDS_PER_TIMESTAMP: Final = 0.02

_SPECIALS: Final = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


def train_tokeniser(texts: Iterable[str], path: Path) -> None:
    """Write tokenizer.json with TEXT_TOKENS text tokens learned from lower-case texts.

    Every word is seen with the space before it, as Whisper writes them.
    """
    tokeniser = Tokenizer(models.BPE())
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    # faster-whisper suppresses the first token of " -", " '" and of musical signs. Were
    # these not tokens of their own, that would be the bare space, and no word whose
    # encoding begins with it could be written. Forcing space+letter keeps it unused.
    forced = [f" {sign}" for sign in "♩♪♫♬♭♮♯"] * 20_000
    forced += [f" {character}" for character in "abcdefghijklmnopqrstuvwxyz-'"] * 20_000
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[],
    )
    tokeniser.train_from_iterator([*(f" {text}" for text in texts), *forced], trainer)
    if tokeniser.get_vocab_size() != TEXT_TOKENS:
        raise ValueError(
            f"The texts give {tokeniser.get_vocab_size()} tokens where {TEXT_TOKENS} are needed: "
            "train the tokeniser on more text."
        )
    times = [f"<|{n * SECONDS_PER_TIMESTAMP:.2f}|>" for n in range(TIMESTAMPS)]
    tokeniser.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in (*_SPECIALS, *times)]
    )
    tokeniser.save(str(path))


class Vocabulary:
    """A trained tokeniser, word by word, with the ids of its special tokens."""

    def __init__(self, path: Path) -> None:
        self._tokeniser = Tokenizer.from_file(str(path))
        self._words: dict[str, tuple[list[int], list[int]]] = {}

    def __len__(self) -> int:
        """Return the number of tokens, timestamps included."""
        return int(self._tokeniser.get_vocab_size())

    def _id(self, token: str) -> int:
        found = self._tokeniser.token_to_id(f"<|{token}|>")
        if found is None:
            raise ValueError(f"The tokeniser has no <|{token}|>: train it with train_tokeniser.")
        return found

    @cached_property
    def end(self) -> int:
        """The id of <|endoftext|>, which is also the number of text tokens."""
        return self._id("endoftext")

    @cached_property
    def start(self) -> int:
        """The id of <|startoftranscript|>."""
        return self._id("startoftranscript")

    @cached_property
    def previous(self) -> int:
        """The id of <|startofprev|>."""
        return self._id("startofprev")

    @cached_property
    def no_speech(self) -> int:
        """The id of <|nospeech|>."""
        return self._id("nospeech")

    @cached_property
    def no_timestamps(self) -> int:
        """The id of <|notimestamps|>; timestamps follow it."""
        return self._id("notimestamps")

    def timestamp(self, time_s: float) -> int:
        """Return the token of a time in the window, rounded to 0.02 s and kept in 0..30 s."""
        step = round(time_s / SECONDS_PER_TIMESTAMP)
        return self.no_timestamps + 1 + min(TIMESTAMPS - 1, max(0, step))

    def word(self, word: str) -> tuple[list[int], list[int]]:
        """Return the ids of a word with its leading space, and each one's letters (at least 1)."""
        if word not in self._words:
            encoding = self._tokeniser.encode(f" {word}")
            letters = [max(1, len(token.removeprefix("Ġ"))) for token in encoding.tokens]
            self._words[word] = (list(encoding.ids), letters)
        return self._words[word]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text of words between single spaces."""
        return [token for word in text.split() for token in self.word(word)[0]]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of the text ids; special tokens and timestamps are left out."""
        text = self._tokeniser.decode([token for token in ids if token < self.end])
        return str(text).strip()

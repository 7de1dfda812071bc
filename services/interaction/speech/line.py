"""One session's line of speech, as text and time: words that wait, the sentence that is spoken, where its words lie.

No tensors here. The line says which symbols are encoded next; it is told how many frames each gets; it deals out 16
frames a tick and knows which words sounded in them. A pure function of the words, manners and cuts that it was given.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.records import Manner
from services.interaction.protocol import READY_BELOW_MS
from services.interaction.speech.config import DELAY_FRAMES, TICK_FRAMES
from services.interaction.speech.g2p import BEGIN, END, Phonemiser, Word, ids
from services.interaction.speech.head import MAX_FRAMES, ahead, places

QUEUE_WORDS = 64  # words that may wait; more are refused
SENTENCE_WORDS = 40  # a sentence without a full stop ends here
FADE_FRAMES = 4  # 50 ms, when speech is cut
LIST_TICKS = 1  # a list comes word by word, every other tick
HEARD_SHARE = 0.6  # a word that is cut counts as heard from here on: then Whisper hears it in nine of ten
QUICK_FRAMES = 2  # the same between words, where the sound of the next one may have begun
FASTEST = 0.4  # of its time, at the least, is left to what is hurried so that a word ends with the tick
CLOSING_FRAMES = 8  # of the last sound before a mark: what the teacher gives it beyond that is silence
FRAME_MS = 12.5
_FULL_STOPS = ".?!"
_LETTER_MS = 60  # of a word that nobody has encoded yet, its pause included: what the teacher takes on average


class Sounded(NamedTuple):
    """A word that sounded in a tick. Times are ms after the tick's begin: ``begin_ms`` is negative for one that began
    earlier, ``end_ms`` None for one that goes on. ``cut``: broken off before most of it was heard."""

    text: str
    begin_ms: int
    end_ms: int | None
    cut: bool = False


class Cut(NamedTuple):
    """Frames of the tick in which speech is cut: it begins to fade at ``fades`` and is silent from ``silent`` on; words
    count as they sounded until ``heard``."""

    fades: int
    silent: int
    heard: int


NO_CUT = Cut(0, 0, 0)


class Piece(NamedTuple):
    """Symbols to encode next: their ids with what follows each ``[symbols, AHEAD]``, and the word they belong to (""
    for a sentence's begin and end): before it lies a ``pause``, and its last one is its ``mark``, if it has them."""

    following: npt.NDArray[np.int64]
    word: str
    first: bool
    manner: Manner
    mark: bool = False
    pause: bool = True


class _Waiting(NamedTuple):
    """A word in the queue."""

    text: str
    manner: Manner


class Frames(NamedTuple):
    """A tick's frames: codes' places in the sentence ``[16]``, their place features ``[16, PLACES]``, and that those
    from ``begin`` to before ``spoken`` are spoken (the others are silence)."""

    codes: npt.NDArray[np.int64]
    place: npt.NDArray[np.float32]
    begin: int
    spoken: int


def _end_mark(manner: Manner) -> str:
    """The mark of a sentence whose end nobody wrote."""
    return "?" if manner is Manner.QUESTION else "."


@dataclass(slots=True)
class _Span:
    """A word between two frames, counted from the begin of speech."""

    text: str
    onset: int  # of the space before it, in which its sound begins to form
    begin: int
    end: int


@dataclass(slots=True)
class _Sentence:
    """What has been encoded of the sentence that is spoken."""

    previous: str = ""  # the token before
    manner: Manner = Manner.STATEMENT  # of the word before
    words: int = 0
    waits: bool = False  # for a second word, before the first one begins
    symbols: int = 0  # encoded so far
    stop: bool = False  # its last mark is a full stop
    last: bool = False  # its last word was encoded as the last one
    open: bool = False  # nobody knew what would follow its last word, which no mark ends
    closed: bool = False  # its end has been encoded
    counts: deque[int] = field(default_factory=deque)  # frames of the symbols that are not used up
    first: int = 0  # place of the first of them
    used: int = 0  # frames of it that are


@dataclass(slots=True)
class Line:
    """See the module. Ticks are: ``hear`` words, then ``wants`` and ``give`` until it wants no more, then ``deal``."""

    phonemiser: Phonemiser
    queue: deque[_Waiting] = field(default_factory=deque)
    sentence: _Sentence | None = None
    open_end: bool = False  # more words may follow: some came just now, or none could, for want of room
    left_before: int = 0  # what was left to say when the tick began
    tick: int = -1  # of this stretch of speech; -1 when silent
    silent_frames: int = 0  # since the last sound
    spans: deque[_Span] = field(default_factory=deque)
    _wordless: int = 0  # ticks since words came
    _listing: bool = False  # they were of a list
    _cut: Cut = NO_CUT  # what the last cut did to its tick

    @property
    def idle(self) -> bool:
        """Silent, with nothing to say."""
        return self.tick < 0 and not self.queue

    @property
    def left_ms(self) -> int:
        """About how much is left to say: what is encoded, to the sound's end, and an estimate of what is not."""
        now = self.sentence
        encoded = 0 if now is None else sum(now.counts) - now.used
        guess = sum(_LETTER_MS * len(word.text) for word in self.queue)
        least = int(self.sounding or bool(self.queue))
        return max(least, round(encoded * FRAME_MS + guess))

    def report(self) -> int:
        """What is left to say as the tick ends, and is remembered: the model is told so when the next one begins."""
        self.left_before = self.left_ms
        return self.left_before

    @property
    def sounding(self) -> bool:
        return self.tick >= 0

    def hear(self, text: str, manner: Manner = Manner.STATEMENT) -> int:
        """Take in a tick's words, all to be said in one manner; returns how many found no room."""
        words = text.split()
        self._wordless = 0 if words else self._wordless + 1
        self._listing = manner is Manner.LIST if words else self._listing
        self.open_end = self._wordless <= self._listing * LIST_TICKS or self.left_before >= READY_BELOW_MS
        room = QUEUE_WORDS - len(self.queue)
        self.queue.extend(_Waiting(word, manner) for word in words[:room])
        if words:
            self._go_on()
        if self.sentence is not None:
            self.sentence.waits = False
        elif self.queue:
            alone = len(self.queue) == 1 and bool(words) and not self.sounding
            self.sentence = _Sentence(waits=alone and manner is not Manner.BACKCHANNEL)  # a sign must not come late
            self.tick = max(self.tick, 0)
        return max(0, len(words) - room)

    def _go_on(self) -> None:
        """Words have come: a last sound drawn out because nobody knew of them ends, and they follow it."""
        now = self.sentence
        if now is None or now.closed or not now.open or not now.counts:
            return
        now.last = now.open = False
        kept = max(CLOSING_FRAMES, now.used) if len(now.counts) == 1 else CLOSING_FRAMES
        over = now.counts[-1] - kept
        if over <= 0:
            return
        self.spans[-1].end = max(self.spans[-1].begin + 1, self.spans[-1].end - over)
        now.counts[-1] = kept
        if len(now.counts) == 1 and kept == now.used:
            self._next_symbol(now)

    @staticmethod
    def _hold(now: _Sentence) -> None:
        """The last symbol lasts to the tick's end: the pause between the words of a list ends with the next of them."""
        if not now.counts:
            now.first -= 1
            now.counts.append(0)
        now.counts[-1] += TICK_FRAMES - (sum(now.counts) - now.used)

    @staticmethod
    def _next_symbol(now: _Sentence) -> None:
        now.counts.popleft()
        now.first, now.used = now.first + 1, 0

    # --- what to encode ----------------------------------------------------------------------------------------

    def wants(self) -> Piece | None:
        """The next symbols to encode, or None when there are frames enough for this tick."""
        now = self.sentence
        if now is None or now.closed or sum(now.counts) - now.used >= TICK_FRAMES:
            return None
        if not now.symbols:
            return self._begin(now)
        if not self.queue and self._listing and self.open_end and not now.stop:
            self._hold(now)
            return None
        if not self.queue or now.stop or now.last or now.words >= SENTENCE_WORDS:
            return self._close(now)
        token, manner = self.queue.popleft()
        word = self.phonemiser.word(token, now.previous, self.queue[0].text if self.queue else None)
        if manner is Manner.LIST and not word.mark and (self.queue or self.open_end):
            word = word._replace(mark=",")
        begins = now.words == 0
        symbols = word.phones + word.mark if begins and word.phones else f" {word.phones}{word.mark}"
        following = self._following(symbols, self._coming(now, word, manner))
        piece = Piece(following, token, False, manner, bool(word.mark), symbols[0] == " ")
        now.previous, now.manner, now.words = token, manner, now.words + 1
        now.stop = word.mark in _FULL_STOPS and bool(word.mark)
        now.last = not self.queue and not self.open_end
        now.open = not self.queue and not word.mark
        now.symbols += len(symbols)
        return piece

    def _begin(self, now: _Sentence) -> Piece:
        """The silence before the first sound, which seems to know what that will be."""
        manner = self.queue[0].manner
        coming = self._coming(now, Word("", "", ""), manner)[1:]
        now.symbols += len(BEGIN)
        return Piece(self._following(BEGIN, coming), "", True, manner)

    def _coming(self, now: _Sentence, word: Word, manner: Manner) -> str:
        """The symbols after a word, as far as they are known: of up to two words, and the end."""
        coming, last = "", word
        for place, token in enumerate(list(self.queue)[:2]):
            if last.mark and last.mark in _FULL_STOPS:
                break
            later = self.queue[place + 1].text if place + 1 < len(self.queue) else None
            before = now.previous if place == 0 else self.queue[place - 1].text
            last, manner = self.phonemiser.word(token.text, before, later), token.manner
            coming += f" {last.phones}{last.mark}"
        if last.mark and last.mark in _FULL_STOPS:
            return coming + END
        return coming + _end_mark(manner) + END if len(self.queue) <= 2 and not self.open_end else coming

    def _close(self, now: _Sentence) -> Piece:
        symbols = END if now.stop else _end_mark(now.manner) + END
        now.closed = True
        now.symbols += len(symbols)
        return Piece(self._following(symbols, ""), "", False, now.manner)

    @staticmethod
    def _following(symbols: str, coming: str) -> npt.NDArray[np.int64]:
        every = np.array(ids(symbols + coming), dtype=np.int64)
        horizon = np.full(len(every), len(every), dtype=np.int64)
        return ahead(every, horizon)[: len(symbols)]

    def give(self, piece: Piece, counts: list[int]) -> None:
        """The frames of each symbol of the piece that it wanted."""
        now = self.sentence
        assert now is not None
        begin = self.tick * TICK_FRAMES + sum(now.counts) - now.used
        frames = [min(max(1, count), MAX_FRAMES) for count in counts]
        now.counts.extend(frames)
        if now.waits:
            now.used = min(frames[0], TICK_FRAMES) - TICK_FRAMES  # it ends with the tick
        if piece.word:  # the pauses before it and at its mark are not the word
            sounds = [*frames[:-2], min(frames[-2], CLOSING_FRAMES)] if piece.mark and len(frames) > 1 else frames
            pause = frames[0] if piece.pause else 0
            self.spans.append(_Span(piece.word, begin, begin + pause, begin + max(sum(sounds), pause + 1)))

    # --- what sounds ---------------------------------------------------------------------------------------------

    def deal(self) -> Frames:
        """This tick's frames; the sentence is over with the tick in which its last frame lies."""
        codes = np.zeros(TICK_FRAMES, dtype=np.int64)
        length, at = np.ones(TICK_FRAMES, dtype=np.int64), np.zeros(TICK_FRAMES, dtype=np.int64)
        now, count = self.sentence, 0
        begin = 0 if now is None else max(0, -now.used)
        while now is not None and now.counts and count < TICK_FRAMES:
            codes[count], length[count], at[count] = now.first, now.counts[0], max(0, now.used)
            count, now.used = count + 1, now.used + 1
            if now.used == now.counts[0]:
                self._next_symbol(now)
        if now is not None and now.closed and not now.counts:
            self.sentence = None
        self.silent_frames = TICK_FRAMES - count if count else self.silent_frames + TICK_FRAMES
        return Frames(codes, places(length, at), begin, count)

    # --- when speech is cut --------------------------------------------------------------------------------------

    def break_off(self) -> Cut:
        """Before a tick is dealt: it is the last one, and ends so that it is plain what was heard.

        Nothing begins any more. A word that has begun is said to its end, hurried if the tick is too short for it; a
        long one as far as that goes, if most of it is heard by then. Else the sound fades at once. Nothing is drawn of
        what follows the word.
        """
        here, start = self.tick * TICK_FRAMES, self.tick * TICK_FRAMES - DELAY_FRAMES  # first frame drawn; heard
        said = self.spans[0] if self.spans else None
        self.queue.clear()
        if self.sentence is not None:
            self.sentence.closed = True
        room = TICK_FRAMES - DELAY_FRAMES
        if said is None or said.onset >= start or (said.begin > start and said.end - here > room):
            self._keep(0)
            self._cut = Cut(0, QUICK_FRAMES, 0)
            return self._cut
        length = said.end - said.begin
        reach = min(said.end, here + round(room / FASTEST))
        if reach - said.begin < HEARD_SHARE * length:
            self._keep(0)
            self._cut = Cut(0, FADE_FRAMES, FADE_FRAMES)
            return self._cut
        if reach - here > room:
            self._hurry(reach - here, room)
            reach = here + room
        else:
            self._keep(reach - here)
        said.end = reach  # what is said of it counts as all of it
        silent = reach - start
        self._cut = Cut(max(0, silent - FADE_FRAMES), silent, silent)
        return self._cut

    def _keep(self, frames: int) -> None:
        """Forget the symbols that begin after so many frames."""
        now, kept = self.sentence, 0
        if now is None:
            return
        begin = -now.used
        for count in now.counts:
            if begin >= frames:
                break
            begin, kept = begin + count, kept + 1
        now.counts = deque(list(now.counts)[:kept])

    def _hurry(self, frames: int, room: int) -> None:
        """Say what was to take so many frames in ``room`` of them, or in one for each symbol if that is more."""
        now = self.sentence
        assert now is not None
        ends = [int(end) for end in np.cumsum(now.counts) - now.used]
        ends = ends[: 1 + sum(end < frames for end in ends)]
        hurried, over = [], 0
        for place, end in enumerate(ends):
            most = room - (len(ends) - 1 - place)  # the symbols behind it need a frame each
            until = max(over + 1, min(round(min(end, frames) * room / frames), most))
            hurried.append(until - over)
            over = until
        hurried[0] += now.used
        now.counts = deque(hurried)

    def end_tick(self, *, cut: bool = False) -> list[Sounded]:
        """Words that sounded in this tick. After a cut, or when the last sound has left the vocoder, silence begins."""
        begin = self.tick * TICK_FRAMES - DELAY_FRAMES  # frame of the tick's first sample
        end = begin + (self._cut.heard if cut else TICK_FRAMES)
        sounded = []
        while self.spans and self.spans[0].begin < end:
            span = self.spans[0]
            over = span.end <= end
            stop = min(span.end, end)
            share = (stop - span.begin) / max(1, span.end - span.begin)
            sounded.append(
                Sounded(
                    span.text,
                    round((span.begin - begin) * FRAME_MS),
                    round((stop - begin) * FRAME_MS) if over or cut else None,
                    cut and not over and share < HEARD_SHARE,
                )
            )
            if not over:
                break
            self.spans.popleft()
        if cut:
            self.reset()
        elif self.sentence is None and not self.spans and self.silent_frames >= DELAY_FRAMES:
            self.tick = -1
        else:
            self.tick += 1
        return sounded

    def reset(self) -> None:
        """Fall silent: what waits is forgotten."""
        self.queue.clear()
        self.spans.clear()
        self.sentence, self.tick, self.open_end, self.silent_frames = None, -1, False, 0
        self._wordless, self._listing = 0, False

"""What a perfect partner does in a scenario, tick by tick: the oracle's plan, a pure function of the script.

Tick k's words are heard from ``(k + 1) * 200`` ms on, so what is to be heard at ``t`` goes into the tick before; and a
scenario begins as long after tick 0 as the player's lead-in. The oracle has no voice: its written words stand for
speech, one a tick unless they have to last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from infra.eval.player import LEAD_IN_MS
from infra.eval.scenario import SPEECH_TO_MODEL, Clip, Expectation, Role, Scenario, Want, sample_to_ms
from schemas.records import Floor, UserActivity
from schemas.ticks import FRAME_MS

REPLY_AFTER_MS = 200  # and at most a tick more
INSIDE_MS = 40  # of a window, so that a clock's error does no harm
NARROW_MS = 1200  # a window as narrow as this is met in its middle, a wider one at its begin
WIDEST_WORDS = 3  # ticks from one word to the next: 400 ms of quiet between them are a breath
SPARE_MS = 800  # speech that must outlast an event goes on for so long after it
YES = "okay I hear you and that is fine"
LONG = "well that is a good question and there is a lot that one can say about it if one has the time to do so"
ON = ("and", "so", "on")
"""What is added to a reply that is too short to last over an event."""
SO, SHORT_WORDS = "well as far as I know", 3  # three words in less than a second would be no turn
LOOKING = "let me look that up"
HUM = "mhm"


@dataclass(slots=True)
class Ask:
    """A question for the background at ``tick``; its result is not wanted any more from ``drop_tick`` on."""

    tick: int
    question: str
    from_ms: int
    drop_tick: int | None


@dataclass(slots=True)
class Plan:
    """``words`` and ``floor`` by tick; ``yields`` are the last ticks in which something may be said before a stop."""

    words: dict[int, str] = field(default_factory=dict)
    floor: dict[int, Floor] = field(default_factory=dict)
    user: dict[int, UserActivity] = field(default_factory=dict)
    heard: dict[int, str] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    yields: list[int] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)
    """Ticks whose words would be heard while the user speaks to the model, or is owed an answer."""

    def say(self, words: list[str], first: int, until: int = 0, floor: Floor = Floor.TAKE) -> list[int]:
        """One word a tick from ``first`` on, or so slowly that it lasts until tick ``until``. Returns the ticks."""
        missing = (until - first) // WIDEST_WORDS + 1 - len(words)
        words = [*words, *[ON[i % len(ON)] for i in range(missing)]]
        return self._lay(words, spread(len(words), first, until), floor)

    def say_until_cut(self, words: list[str], first: int) -> list[int]:
        """The same, but the next yield comes in the middle: something is being said when the user cuts in."""
        end = min(y for y in self.yields if y >= first)
        enough = [*words, *[ON[i % len(ON)] for i in range((end - first) // WIDEST_WORDS + 2 - len(words))]]
        places = [p for p in spread(len(enough), first, end) if p < end]
        return self._lay(enough, [*places, end], Floor.TAKE)

    def _lay(self, words: list[str], places: list[int], floor: Floor) -> list[int]:
        for place, word in zip(places, words, strict=False):
            self.words[place] = word
        for tick in range(places[0], places[-1] + 1):
            self.floor[tick] = floor
        return places

    def cut_after(self, first: int) -> bool:
        """Whether a yield is the next thing that happens to speech begun in tick ``first``."""
        end = min((y for y in self.yields if y >= first), default=None)
        return end is not None and not any(first < tick <= end for tick in self.words)

    def free(self, tick: int, ticks: int) -> int:
        """The first tick from ``tick`` on from which ``ticks`` ticks (or all before the next yield) are free."""
        while True:
            end = min((y for y in self.yields if y >= tick), default=tick + ticks)
            taken = [t for t in range(tick, min(tick + ticks, end)) if t in self.busy or t in self.words]
            if not taken:
                return tick
            tick = taken[-1] + 1


def spread(count: int, first: int, until: int) -> list[int]:
    """Ticks for ``count`` words from ``first`` on: adjacent ones, or up to three apart, the last near ``until``."""
    step = min(WIDEST_WORDS, max(1.0, (until - first) / max(1, count - 1)))
    return [first + math.floor(i * step) for i in range(count)]


def heard_at(ms: float) -> int:
    """The tick whose words are heard first at or after ``ms`` of the scenario."""
    return max(0, math.ceil((ms + LEAD_IN_MS) / FRAME_MS) - 1)


def tick_of(ms: float) -> int:
    """The tick in which this moment of the scenario lies."""
    return math.floor((ms + LEAD_IN_MS) / FRAME_MS)


def plan(scenario: Scenario) -> Plan:
    """Everything that the script wants, laid down; what the background brings is added when it comes."""
    made = Plan()
    for wanted in _wants(scenario, Want.YIELD):
        made.yields.append(max(0, tick_of(_start_ms(scenario, wanted)) - 1))
    _listen(scenario, made)
    delegated = {e.clip for e in _wants(scenario, Want.DELEGATE)}
    _delegate(scenario, made)
    long_reply = scenario.spoken_reply
    for wanted in _wants(scenario, Want.SAY):
        made.say(spoken(wanted.meanings[0]), _aim(wanted))
    for wanted in _wants(scenario, Want.BACKCHANNEL):
        made.say([HUM], heard_at((wanted.from_ms + wanted.to_ms) / 2 - FRAME_MS / 2), floor=Floor.BACKCHANNEL)
    answers: list[tuple[Expectation, str]] = []
    for wanted in _wants(scenario, Want.REPLY, Want.RESPOND):
        text = LOOKING if wanted.clip in delegated else _reply(scenario, wanted)
        if long_reply and wanted.want == Want.REPLY:
            text, long_reply = (text if wanted.clip in delegated else long_reply), ""
        answers.append((wanted, text))
    for wanted, text in reversed(answers):  # later ones first: who is cut off depends on what comes next
        _answer(scenario, made, wanted, text, filler=wanted.clip in delegated)
    return made


def _wants(scenario: Scenario, *kinds: Want) -> list[Expectation]:
    return sorted((e for e in scenario.expect if e.want in kinds), key=lambda e: e.from_ms)


def _answer(scenario: Scenario, made: Plan, wanted: Expectation, text: str, *, filler: bool) -> None:
    end_ms = sample_to_ms(scenario.clip(wanted.clip).end_sample) if wanted.clip else float(wanted.from_ms)
    first = heard_at(max(end_ms + REPLY_AFTER_MS, wanted.from_ms))
    if made.cut_after(first) and not filler:
        made.say_until_cut(text.split(), first)
    else:
        made.say(text.split(), first, 0 if filler else heard_at(_must_last(scenario, first)))


def _must_last(scenario: Scenario, first: int) -> float:
    """Until when speech that begins in tick ``first`` has to go on: over the events that are no reason to stop, where
    nothing else is said before them."""
    begin_ms = (first + 1) * FRAME_MS
    others = [e.from_ms for e in _wants(scenario, Want.REPLY, Want.SAY, Want.RESPOND) if e.from_ms > begin_ms]
    limit = min(others, default=scenario.duration_ms)
    lasting = [e for e in _wants(scenario, Want.GO_ON, Want.RESUME) if begin_ms < e.from_ms < limit and e.clip]
    ends = [sample_to_ms(scenario.clip(e.clip).end_sample) for e in lasting]
    goes_on = [float(e.to_ms) for e in lasting if e.want == Want.GO_ON]
    return max([0.0, *ends, *goes_on]) + (SPARE_MS if lasting else 0)


def _reply(scenario: Scenario, wanted: Expectation) -> str:
    """What to say: the meaning in a whole sentence, what the background would have said, or something friendly."""
    if wanted.meanings:
        return "all right here it comes " + " ".join(spoken(wanted.meanings[0]))
    asked = " ".join(clip.text for clip in _turn(scenario, wanted.clip)).lower().split()
    for key, answer in scenario.results.items():
        if key.lower() in asked:
            return answer if len(answer.split()) > SHORT_WORDS else f"{SO} {answer}"
    return LONG if _wants(scenario, Want.GO_ON, Want.YIELD) else YES


def _turn(scenario: Scenario, clip_id: str) -> list[Clip]:
    """The clips of the turn that ends with this one."""
    turn: list[Clip] = []
    for clip in sorted(scenario.clips, key=lambda c: c.start_sample):
        if clip.role in SPEECH_TO_MODEL:
            turn = [*turn, clip] if clip.role == Role.CONTINUATION else [clip]
            if clip.id == clip_id:
                return turn
    return []


def spoken(meaning: str) -> list[str]:
    """A meaning's words, of alternatives the first."""
    return [word.split("|")[0] for word in meaning.split()]


def _aim(wanted: Expectation) -> int:
    narrow = wanted.to_ms - wanted.from_ms <= NARROW_MS
    middle_ms = (wanted.from_ms + wanted.to_ms) / 2 - FRAME_MS / 2
    return heard_at(middle_ms if narrow else wanted.from_ms + INSIDE_MS)


def _delegate(scenario: Scenario, made: Plan) -> None:
    drops = [e.from_ms for e in _wants(scenario, Want.DROP)]
    for wanted in _wants(scenario, Want.DELEGATE):
        clips = _turn(scenario, wanted.clip)
        tick = heard_at(sample_to_ms(clips[-1].end_sample) + REPLY_AFTER_MS)
        drop = min((heard_at(ms) for ms in drops if ms > wanted.from_ms), default=None)
        question = " ".join(clip.text for clip in clips)
        made.asks.append(Ask(tick, question, math.floor(sample_to_ms(clips[0].start_sample)), drop))


def _listen(scenario: Scenario, made: Plan) -> None:
    """What the user does, tick by tick; while that is speech to the model nothing is begun on one's own account."""
    for clip in scenario.clips:
        if clip.role not in SPEECH_TO_MODEL:
            continue
        first = tick_of(sample_to_ms(clip.start_sample))
        last = tick_of(sample_to_ms(clip.end_sample - 1))
        for tick in range(first, last + 1):
            made.user[tick] = UserActivity.SPEAKING
            made.busy.add(tick - 1)  # its words would be heard in this one
        made.user[last] = UserActivity.ENDED
        made.heard[last] = clip.text
        made.busy |= {last, last + 1}


def _start_ms(scenario: Scenario, wanted: Expectation) -> float:
    return sample_to_ms(scenario.clip(wanted.clip).start_sample) if wanted.clip else float(wanted.from_ms)

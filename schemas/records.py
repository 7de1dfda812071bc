"""Every record that crosses a topic: tagged, versioned MessagePack maps, validated when decoded.

Binary stays binary. ``type`` names the record, ``v`` its schema version. New optional fields keep ``v``; anything
that an old reader would misunderstand raises it (see ``codec``).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.ticks import FRAME_MS, MAX_SESSION_ID_CHARS, TickKey

SessionId = Annotated[str, Meta(min_length=1, max_length=MAX_SESSION_ID_CHARS, pattern=r"^[A-Za-z0-9_.-]+$")]
TimestampMs = Annotated[int, Meta(ge=0, multiple_of=FRAME_MS)]
Count = Annotated[int, Meta(ge=0)]


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that every session's record carries."""

    session_id: SessionId
    timestamp_ms: TimestampMs

    @property
    def key(self) -> TickKey:
        return TickKey(self.session_id, self.timestamp_ms)


# --- session.control -------------------------------------------------------------------------------------------


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client may choose. ``seed`` feeds all sampling, so that a session can be replayed bit for bit."""

    seed: int = 0
    instructions: str = ""
    language: str = "en"
    voice: str = "default"
    video: bool = False


class SessionStarted(Keyed, frozen=True, kw_only=True, tag="SessionStarted"):
    """Tick 0 of the session begins at ``timestamp_ms``.

    Frame borders are multiples of 200 ms for everybody; this session's frames are cut ``phase_ms`` after their nominal
    end, so that sessions do not all come at once. Latencies are counted from there.
    """

    v: int = 1
    capture_id: str
    phase_ms: Count = 0
    config: SessionConfig = SessionConfig()
    pace: str = "realtime"
    resume_hash: bytes = b""


class SessionHeld(Keyed, frozen=True, kw_only=True, tag="SessionHeld"):
    """A capture process holds the session: said when it takes one over, and every few seconds while it holds one.

    ``tick`` and ``timestamp_ms`` are of the frame that it cuts next. Who takes a session over raises ``capture_epoch``;
    of two claims of the same epoch the first in the log counts. ``resume_hash`` is SHA-256 over session id and
    resume token: another process can check a client's token with it, but nobody can make one from it.
    """

    v: int = 1
    tick: Count
    capture_id: str
    capture_epoch: Count
    phase_ms: Count = 0
    config: SessionConfig = SessionConfig()
    pace: str = "realtime"
    resume_hash: bytes = b""


class SessionUpdated(Keyed, frozen=True, kw_only=True, tag="SessionUpdated"):
    v: int = 1
    config: SessionConfig


class SessionEnded(Keyed, frozen=True, kw_only=True, tag="SessionEnded"):
    """``timestamp_ms`` is the first frame border that the session does not cover; it had ``ticks`` frames.

    One of an older ``capture_epoch`` than the session's holder comes from a process that lost it, and does not count.
    """

    v: int = 1
    ticks: Count
    reason: str
    capture_epoch: Count = 0


# --- capture.frames --------------------------------------------------------------------------------------------


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One JPEG picture, ``offset_ms`` after its frame's begin."""

    jpeg: bytes
    offset_ms: Annotated[int, Meta(ge=0, lt=FRAME_MS)]


class ClientEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client's event, or one of ours (``session.started``, ``session.updated``) that must be replayed in order."""

    name: str
    data: dict[str, Any] = {}


class CaptureFrame(Keyed, frozen=True, kw_only=True, tag="CaptureFrame"):
    """200 ms of one client: exactly 3200 samples of PCM16, 16 kHz, mono (silence where nothing came).

    ``gap_ms`` says how much of ``audio`` was filled because nothing had arrived; ``final`` marks the last frame.
    Of a session's frames only those count whose ``capture_epoch`` is the highest so far in the log, and of those the
    first of each tick: a capture process that lost the session to another is fenced by that.
    """

    v: int = 1
    tick: Count
    audio: bytes
    images: list[Image] = []
    text: str = ""
    events: list[ClientEvent] = []
    gap_ms: Annotated[int, Meta(ge=0, le=FRAME_MS)] = 0
    final: bool = False
    capture_epoch: Count = 0


# --- encoder.frames --------------------------------------------------------------------------------------------


class TokenKind(IntEnum):
    AUDIO = 0
    VIDEO = 1
    TEXT = 2


class EncodedFrame(Keyed, frozen=True, kw_only=True, tag="EncodedFrame"):
    """Model inputs of one frame: ``embeddings`` is float16 little endian ``[len(kinds), d]``.

    ``kinds`` holds one ``TokenKind`` byte per token: 4 audio tokens, then one per video patch, then at most one for
    typed text. ``encoder_version`` names the weights; ``input_offset`` the capture record it was made from.
    """

    v: int = 1
    tick: Count
    d: Annotated[int, Meta(gt=0, le=16384)]
    kinds: bytes
    embeddings: bytes
    encoder_version: str
    input_offset: int
    text: str = ""
    events: list[ClientEvent] = []
    gap_ms: Annotated[int, Meta(ge=0, le=FRAME_MS)] = 0
    final: bool = False


# --- interaction.turns -----------------------------------------------------------------------------------------


class Floor(StrEnum):
    """What the model does with the floor in this micro-turn."""

    HOLD = "hold"  # silent, listening
    TAKE = "take"  # speaking
    BACKCHANNEL = "backchannel"
    YIELD = "yield"  # was speaking, gives the floor up in this tick


class Manner(StrEnum):
    """How the words of a micro-turn are to sound: the model's choice beside the words, which the voice follows."""

    STATEMENT = "statement"
    QUESTION = "question"
    LIST = "list"  # an item, with more to come
    CORRECTION = "correction"  # of something that was misheard or said wrongly
    BACKCHANNEL = "backchannel"  # beside another's speech
    WARNING = "warning"


class UserActivity(StrEnum):
    """What the model believes the user does; a head of the model, not a voice activity detector."""

    SILENT = "silent"
    SPEAKING = "speaking"
    ENDED = "ended"  # the user's turn ended in this tick


class TurnEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``delegated``, ``cancelled``, ``weave_started``, ``weave_finished``, ``weave_paused``, ``weave_dropped``, ``ui``.

    ``task_id`` is set on all but ``ui``.
    """

    name: str
    task_id: str = ""
    data: dict[str, Any] = {}


class TaskState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A background task that is not settled yet, as it stands after a tick.

    ``result_offset`` is the offset of its last result record, -1 while it runs; ``words_said`` of that result have
    been spoken.
    """

    task_id: str
    started_ms: int
    result_offset: int = -1
    words_said: int = 0


class SpokenWord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A word that sounded in a tick. Times are milliseconds after the tick's begin: ``begin_ms`` is negative for a word
    that began earlier, ``end_ms`` is None while it goes on. ``cut``: broken off before most of it was heard."""

    text: str
    begin_ms: int
    end_ms: int | None = None
    cut: bool = False


class TurnSpeech(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was heard in a tick: the ``words`` that sounded; about how much of what is written so far was left to say
    after it; and whether speech was ``cut`` in it, with a fade. ``by`` names what spoke, where there is sound."""

    words: list[SpokenWord] = []
    left_ms: Count = 0
    cut: bool = False
    by: str = ""


class InteractionTurn(Keyed, frozen=True, kw_only=True, tag="InteractionTurn"):
    """The model's output of one micro-turn: 4800 samples of PCM16 24 kHz mono or none, text, floor, events.

    ``text`` and ``user_text`` are deltas (words said, words heard), ``typed`` what the user typed in this tick.
    ``tokens`` are the raw output ids that the model is fed with on restore; ``tasks`` the unsettled background tasks
    after this tick: with both, the turns alone rebuild a session. ``epoch`` fences zombies; ``input_offset`` is the
    encoder record that was consumed; ``results_offset`` is one past the last background result applied before this
    step, so that a replay sees exactly what this step saw. ``prefilled`` marks a tick that a late worker took in
    without being asked for an answer. ``gap_ms`` is its frame's. ``speech`` tells which words of the ``audio`` sounded
    when, None where nobody speaks (text only). ``manner`` is how the ``text`` is to sound, wherever its words are from.
    """

    v: int = 1
    tick: Count
    floor: Floor
    user: UserActivity
    model: str
    epoch: Count
    input_offset: int
    results_offset: int = 0
    tokens: list[int] = []
    tasks: list[TaskState] = []
    audio: bytes | None = None
    text: str = ""
    user_text: str = ""
    typed: str = ""
    events: list[TurnEvent] = []
    gap_ms: Annotated[int, Meta(ge=0, le=FRAME_MS)] = 0
    prefilled: bool = False
    final: bool = False
    speech: TurnSpeech | None = None
    manner: Manner = Manner.STATEMENT


class TurnsClaimed(msgspec.Struct, frozen=True, kw_only=True, tag="TurnsClaimed"):
    """A worker takes a partition over: behind this record only turns of ``epoch`` or a newer one count.

    It lies in the partition that it fences, so that every reader sees it at the same place among the turns. A claim
    whose epoch is not above all that came before it is lost, and changes nothing.
    """

    v: int = 1
    partition: Count
    epoch: Annotated[int, Meta(gt=0)]
    worker: str
    claimed_at_ms: Count


# --- worker.leases ---------------------------------------------------------------------------------------------


class OwnedPartition(msgspec.Struct, frozen=True, kw_only=True):
    """``epoch`` orders the owners of one partition: the highest is the newest."""

    partition: Count
    epoch: Count


class WorkerLease(msgspec.Struct, frozen=True, kw_only=True, tag="WorkerLease"):
    """A worker's sign of life: who it is, what it owns, what it could take over at once, how long silence is normal.

    ``incarnation`` tells the lives of one instance name apart; the newest counts. ``standby`` is a spare, ``leaving``
    hands its partitions over, ``gone`` is its last record. A reader for whom more than ``lease_ms`` have passed since
    a worker's last record takes the worker for dead, and may claim what it owned.
    """

    v: int = 1
    service: str
    instance: str
    incarnation: Count
    seq: Count
    sent_at_ms: Count
    lease_ms: Annotated[int, Meta(gt=0)]
    standby: bool = False
    leaving: bool = False
    gone: bool = False
    owned: list[OwnedPartition] = []
    warm: list[int] = []


# --- background ------------------------------------------------------------------------------------------------


class ContextEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of the conversation: who, when, what. ``user_heard`` is the model's own transcript."""

    role: str  # user_typed | user_heard | assistant | result
    timestamp_ms: int
    text: str


class ContextPackage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The conversation as the interaction model knows it, and where in the log the delegated words were spoken."""

    entries: list[ContextEntry] = []
    span_start_ms: int
    span_end_ms: int
    instructions: str = ""
    language: str = "en"


class BackgroundTask(Keyed, frozen=True, kw_only=True, tag="BackgroundTask"):
    """A delegation. ``task_id`` is a pure function of session and tick, so that a restored worker repeats it."""

    v: int = 1
    task_id: str
    deadline_ms: int
    context: ContextPackage


class BackgroundCancel(Keyed, frozen=True, kw_only=True, tag="BackgroundCancel"):
    v: int = 1
    task_id: str
    reason: str = "user"


class ResultKind(StrEnum):
    PROGRESS = "progress"
    PARTIAL = "partial"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    FINAL = "final"
    ERROR = "error"
    CANCELLED = "cancelled"


class BackgroundResult(Keyed, frozen=True, kw_only=True, tag="BackgroundResult"):
    """One step of a task; identity ``(task_id, seq)``. ``text`` of a PARTIAL is a delta, of a FINAL the whole."""

    v: int = 1
    task_id: str
    seq: Count
    kind: ResultKind
    text: str = ""
    data: dict[str, Any] = {}


# --- monitor, dead letters -------------------------------------------------------------------------------------


class SessionMetrics(Keyed, frozen=True, kw_only=True, tag="SessionMetrics"):
    """One session's second: latencies are turn produced minus frame end, in ms; identity is the key."""

    v: int = 1
    ticks: Count
    deadline_misses: Count
    latency_p50_ms: float
    latency_max_ms: float
    gap_ms: Count
    speaking_ticks: Count


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, tag="DeadLetter"):
    """A record that could not be handled: the raw bytes, where it came from, who refused it and why."""

    v: int = 1
    topic: str
    partition: int
    offset: int
    record_key: bytes | None
    value: bytes | None
    service: str
    error: str
    failed_at_ms: int


Record = (
    SessionStarted
    | SessionHeld
    | SessionUpdated
    | SessionEnded
    | CaptureFrame
    | EncodedFrame
    | InteractionTurn
    | TurnsClaimed
    | WorkerLease
    | BackgroundTask
    | BackgroundCancel
    | BackgroundResult
    | SessionMetrics
    | DeadLetter
)

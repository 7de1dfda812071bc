"""``NanoModel``: nano behind the ``InteractionModel`` protocol, with ring memory for a fixed number of sessions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor

from schemas.records import TokenKind
from services.interaction.nano.config import (
    AUDIO_TOKENS,
    CONV_TAPS,
    FLOORS,
    KEEP,
    NONE,
    PERIODS_TICKS,
    TICK_TOKENS,
    USERS,
    NanoConfig,
)
from services.interaction.nano.decision import Decider
from services.interaction.nano.layers import LayerState, ring_view
from services.interaction.nano.lexicon import Lexicon, Search
from services.interaction.nano.network import Decisions, NanoNet, StepPlace, TickInputs, time_table
from services.interaction.nano.pending import left_step, word_bucket
from services.interaction.nano.registers import (
    Tokens,
    fed,
    moved,
    reachable,
    score,
)
from services.interaction.nano.wording import by_kind, kinds_of_words
from services.interaction.protocol import StepInput, StepOutput
from services.interaction.randomness import choose, uniforms

WEIGHTS = "backbone.safetensors"
CONFIG = "config.json"
ENCODER_WEIGHTS = "encoder.safetensors"
GPU_ROWS = 64
VOICE_TABLE = "pending.4.weight"
NOTHING_YET = Tokens()
_FLOOR, _TEXT, _NOTE, _LISTEN = (Decisions._fields.index(name) for name in ("floor", "text", "note", "listen"))
_HOLD = FLOORS.index("hold")


@contextmanager
def one_thread() -> Iterator[None]:
    """Products of a batch of one are split among threads, which changes their bits; those of several are not. So one
    thread computes, and more cores are used by more workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class VersionMismatch(ValueError):
    """Encoder and backbone in a model folder were not trained together, or weights are not what config names."""


@dataclass(slots=True)
class _Session:
    """``begins`` is the first tick that its memory covers; ``fed`` the former tick's tokens; ``search`` finds the
    user's words, where there is a lexicon."""

    slot: int
    begins: int
    next_tick: int
    fed: Tokens
    seed: int = 0
    search: Search | None = None


def backbone_version(tensors: dict[str, Tensor]) -> str:
    """A name for exactly these weights, e.g. ``3fa2c1d09b7e``."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]


def rounds(inputs: Sequence[StepInput]) -> list[list[int]]:
    """Indices of ``inputs`` in rounds of distinct sessions that keep each session's order."""
    made: list[list[int]] = []
    seen: Counter[str] = Counter()
    for at, item in enumerate(inputs):
        if seen[item.session_id] == len(made):
            made.append([])
        made[seen[item.session_id]].append(at)
        seen[item.session_id] += 1
    return made


class NanoModel:
    """See ``InteractionModel``. Decisions are the heads' argmax, but for words: see ``NanoConfig``.

    ``rows`` gives every batch that many rows, the last ones filled up with a session of silence. A GPU's library
    chooses its kernels by the batch's size, and with them the bits; with one size they are one choice. 0, for CPUs,
    whose products of one tick do not depend on it, takes batches as they come.
    """

    def __init__(
        self,
        net: NanoNet,
        capacity: int = 64,
        *,
        lexicon: Lexicon | None = None,
        device: str = "cpu",
        rows: int | None = None,
    ) -> None:
        """Without a ``lexicon`` it writes no transcript."""
        config = net.config
        if config.temperature < 0:
            raise ValueError(f"temperature {config.temperature} is negative")
        if not reachable(config.yield_at, config.yield_keep):
            raise ValueError(f"it can't yield by yield_at {config.yield_at:g}, yield_keep {config.yield_keep:g}")
        self.name = f"{config.name}-{config.release}+{config.backbone_version}"
        self.lexicon = lexicon
        if lexicon is not None:
            self.name += f".{lexicon.version}"
        self.decider = Decider(config, () if lexicon is None else lexicon.words)
        self.name += config.rules
        if device != "cpu":
            self.name += f"@{device}"
        self.encoder_version = config.encoder_version
        self.d = config.d
        self.context_ticks = config.context_ticks
        self.capacity = capacity
        self.quiet_tokens: tuple[int, ...] = NOTHING_YET
        self.config = config
        self._device = torch.device(device)
        self._rows = (0 if device == "cpu" else GPU_ROWS) if rows is None else rows
        self._net = net.eval().to(self._device)
        self._free = list(range(capacity - 1, -1, -1))
        self._sessions: dict[str, _Session] = {}
        self._time = time_table()
        self._kinds = kinds_of_words(config)
        self._filler = _Session(capacity, 0, 0, NOTHING_YET)  # its slot is nobody's
        self._biases = [attention.ring_bias() for attention in net.attentions]
        width = config.head_width
        self._memory = [
            LayerState(
                torch.zeros(capacity + 1, window, TICK_TOKENS, width, device=self._device),
                torch.zeros(capacity + 1, window, TICK_TOKENS, width, device=self._device),
                torch.zeros(capacity + 1, CONV_TAPS - 1, config.d, device=self._device),
            )
            for window in config.windows
        ]

    @classmethod
    def load(cls, path: Path | str, capacity: int = 64, *, device: str = "cpu") -> NanoModel:
        """From a model folder.

        Raises:
            FileNotFoundError: a file is missing.
            VersionMismatch: the encoder beside it is not the one it was trained with, weights and config differ, or
                the weights are of another architecture.
        """
        folder = Path(path)
        config = NanoConfig.load(folder / CONFIG)
        tensors = load_file(folder / WEIGHTS)
        found = backbone_version(tensors)
        if found != config.backbone_version:
            raise VersionMismatch(f"{folder / WEIGHTS} is {found}, but {CONFIG} names {config.backbone_version}")
        encoder = f"enc-{backbone_version(load_file(folder / ENCODER_WEIGHTS))}"
        if encoder != config.encoder_version:
            wanted = config.encoder_version
            raise VersionMismatch(f"{folder / ENCODER_WEIGHTS} is {encoder}, but {CONFIG} wants {wanted}")
        net = NanoNet(config)
        if tensors.keys() != net.state_dict().keys():
            raise VersionMismatch(f"{folder / WEIGHTS} is of another architecture than this code's: {config.release}")
        net.load_state_dict(tensors)
        return cls(net, capacity, lexicon=Lexicon.load(folder, config.heard_words), device=device)

    def remembering(self, windows: tuple[int, ...]) -> NanoModel:
        """The same weights with other windows, under a name of its own: to measure what a longer memory costs."""
        config = replace(self.config, name=f"{self.config.name}-{windows[-1]}", windows=windows)
        net = NanoNet(config)
        net.load_state_dict(self._net.state_dict())
        return NanoModel(net, self.capacity, lexicon=self.lexicon, device=str(self._device), rows=self._rows)

    @property
    def session_bytes(self) -> int:
        """What a session's memory takes."""
        tensors = [t for layer in self._memory for t in (layer.keys, layer.values, layer.tail)]
        found = 0 if self.lexicon is None else self.lexicon.session_bytes
        return found + sum(t[0].numel() * t.element_size() for t in tensors)

    def open(self, session_id: str, seed: int, first_tick: int = 0) -> None:
        if session_id in self._sessions:
            raise ValueError(f"session {session_id} is open already")
        if not self._free:
            raise ValueError(f"at capacity: {self.capacity} sessions are open")
        slot = self._free.pop()
        for layer in self._memory:
            # Old values are masked, but zero times them must still be zero.
            layer.keys[slot].zero_()
            layer.values[slot].zero_()
            layer.tail[slot].zero_()
        search = None if self.lexicon is None else Search(self.lexicon)
        self._sessions[session_id] = _Session(slot, first_tick, first_tick, NOTHING_YET, seed, search)

    def close(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._free.append(session.slot)

    def step(self, batch: Sequence[StepInput]) -> list[StepOutput]:
        sessions = [self._sessions[item.session_id] for item in batch]
        decisions, phones = self._forward(batch, sessions)
        heard = self._hear(batch, sessions, decisions, phones)
        with torch.inference_mode(), one_thread():
            ids = np.stack([d.argmax(dim=-1).squeeze(1).numpy() for d in decisions], axis=1)
            for place, logits in ((_NOTE, decisions.note), (_LISTEN, decisions.listen)):
                ids[:, place] = [score(found) for found in (logits[:, 0, 1] - logits[:, 0, 0]).tolist()]
            if self._kinds:
                ids[:, _TEXT] = by_kind(decisions.text.squeeze(1), self._kinds).numpy()
        if self.config.temperature:
            self._throw(ids, decisions.text, sessions)
        outputs = []
        floors = decisions.floor[:, 0].tolist()
        for item, session, chosen, floor, words in zip(batch, sessions, ids.tolist(), floors, heard, strict=True):
            chosen[_FLOOR], doubt = self.decider.floor(item.voice, session.fed, floor)
            output = self.decider.decide(item, session.fed, chosen, words, doubt)
            session.fed = Tokens(*output.tokens)
            outputs.append(output)
        return outputs

    @staticmethod
    def _hear(
        batch: Sequence[StepInput], sessions: Sequence[_Session], decisions: Decisions, phones: Tensor
    ) -> list[list[str]]:
        """The user's words that each session writes down in this tick."""
        with torch.inference_mode(), one_thread():
            sounds = torch.log_softmax(phones.squeeze(1).float(), dim=-1).numpy()
            words = torch.softmax(decisions.heard.squeeze(1), dim=-1).numpy()
        return [
            [] if session.search is None else session.search.hear(item.tick, sounds[row], words[row])
            for row, (item, session) in enumerate(zip(batch, sessions, strict=True))
        ]

    def _throw(self, ids: npt.NDArray[np.int64], logits: Tensor, sessions: Sequence[_Session]) -> None:
        """Replace the chosen words by drawn ones. The tick that was just stepped is the one before the next."""
        for row, session in enumerate(sessions):
            dice = uniforms(session.seed, session.next_tick - 1, 1)
            ids[row, _TEXT] = choose(logits[row, 0].numpy(), self.config.temperature, float(dice[0]))

    def prefill(self, inputs: Sequence[StepInput], outputs: Sequence[tuple[int, ...]]) -> None:
        """See the protocol. Raises ``ValueError`` for tokens that this model cannot have said."""
        if len(inputs) != len(outputs):
            raise ValueError(f"{len(inputs)} inputs, but {len(outputs)} outputs")
        for tokens in outputs:
            self.decider.check(tokens)
        for round_ in rounds(inputs):
            sessions = [self._sessions[inputs[at].session_id] for at in round_]
            items = [inputs[at] for at in round_]
            self._hear(items, sessions, *self._forward(items, sessions))
            for at, session in zip(round_, sessions, strict=True):
                session.fed = Tokens(*outputs[at])

    def quiet(self, session_id: str) -> tuple[int, ...]:
        """See the protocol: nothing is decided, and time passes in the registers."""
        silent = USERS.index("silent")
        return tuple(moved(self._sessions[session_id].fed, _HOLD, silent, NONE, 0, KEEP, NONE))

    def _forward(self, batch: Sequence[StepInput], sessions: list[_Session]) -> tuple[Decisions, Tensor]:
        """Decisions, and the phones' logits ``[n, 1, 8, phones]``."""
        for item, session in zip(batch, sessions, strict=True):
            if item.tick != session.next_tick:
                raise ValueError(f"{item.session_id}: tick {item.tick}, expected {session.next_tick}")
        most = self._rows or len(batch)
        with torch.inference_mode(), one_thread():
            parts = [
                self._advance(batch[at : at + most], sessions[at : at + most]) for at in range(0, len(batch), most)
            ]
            decisions = Decisions(*map(torch.cat, zip(*(made for made, _ in parts), strict=True)))
            return decisions, torch.cat([logits for _, logits in parts])

    def _advance(self, batch: Sequence[StepInput], real: list[_Session]) -> tuple[Decisions, Tensor]:
        fillers = max(0, self._rows - len(real))
        silence = StepInput("", 0, np.zeros((AUDIO_TOKENS, self.d), np.float16), np.zeros(AUDIO_TOKENS, np.uint8))
        batch, sessions = [*batch, *[silence] * fillers], [*real, *[self._filler] * fillers]
        slots = torch.tensor([s.slot for s in sessions], device=self._device)
        states = [LayerState(m.keys[slots], m.values[slots], m.tail[slots]) for m in self._memory]
        decisions, phones = self._net(self._inputs(batch, sessions), states, self._place(sessions))
        for memory, state, window in zip(self._memory, states, self.config.windows, strict=True):
            now = torch.tensor([s.next_tick % window for s in sessions], device=self._device)
            rows = torch.arange(len(sessions), device=self._device)
            memory.keys[slots, now] = state.keys[rows, now]
            memory.values[slots, now] = state.values[rows, now]
            memory.tail[slots] = state.tail
        for session in real:
            session.next_tick += 1
        return Decisions(*(part[: len(real)].cpu() for part in decisions)), phones[: len(real)].cpu()

    def _place(self, sessions: list[_Session]) -> StepPlace:
        """Ring slots, and biases in which slots from before a session's begin are masked."""
        slots, biases = [], []
        for window, table in zip(self.config.windows, self._biases, strict=True):
            now = [s.next_tick % window for s in sessions]
            bias = torch.stack([ring_view(table, window, place) for place in now])
            for row, session in enumerate(sessions):
                covered = session.next_tick - session.begins + 1
                if covered < window:
                    age = (session.next_tick - torch.arange(window)) % window
                    hidden = (age >= covered).repeat_interleave(TICK_TOKENS)
                    bias[row].masked_fill_(hidden, -torch.inf)
            slots.append(torch.tensor(now, device=self._device))
            biases.append(bias.to(self._device))
        return StepPlace(slots, biases)

    def _inputs(self, batch: Sequence[StepInput], sessions: list[_Session]) -> TickInputs:
        """Arrays of one tick each; raises ``ValueError`` unless a frame holds exactly 4 audio tokens of width d."""
        n, d = len(batch), self.d
        audio = np.zeros((n, 1, AUDIO_TOKENS, d), dtype=np.float32)
        video, text = np.zeros((n, 1, d), dtype=np.float32), np.zeros((n, 1, d), dtype=np.float32)
        has_video, has_text = np.zeros((n, 1), dtype=bool), np.zeros((n, 1), dtype=bool)
        pending = np.zeros((n, 1, 5), dtype=np.int64)
        for row, item in enumerate(batch):
            heard = item.embeddings[item.kinds == TokenKind.AUDIO]
            if heard.shape != (AUDIO_TOKENS, d):
                raise ValueError(f"{item.session_id}: audio {heard.shape}, expected {(AUDIO_TOKENS, d)}")
            audio[row, 0] = heard
            for kind, into, mask in ((TokenKind.VIDEO, video, has_video), (TokenKind.TEXT, text, has_text)):
                tokens = item.embeddings[item.kinds == kind]
                if len(tokens):
                    into[row, 0], mask[row, 0] = tokens.astype(np.float32).mean(axis=0), True
            left = left_step(item.pending_left)
            pending[row, 0] = (word_bucket(item.pending_word), left, item.delegated, item.gap_ms > 0, item.voice)
        inputs = TickInputs(
            audio=torch.from_numpy(audio),
            video=torch.from_numpy(video),
            has_video=torch.from_numpy(has_video),
            text=torch.from_numpy(text),
            has_text=torch.from_numpy(has_text),
            fed=torch.tensor([[fed(s.fed)] for s in sessions]),
            pending=torch.from_numpy(pending),
            time=self._phases(sessions),
        )
        return TickInputs(*(tensor.to(self._device) for tensor in inputs))

    def _phases(self, sessions: list[_Session]) -> Tensor:
        rows = [
            torch.cat([table[s.next_tick % period] for table, period in zip(self._time, PERIODS_TICKS, strict=True)])
            for s in sessions
        ]
        return torch.stack(rows)[:, None]

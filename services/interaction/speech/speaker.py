"""``Speaker``: the words of each tick, for all sessions that speak, become 4,800 samples of each in one step.

All tensors of a session are its own rows and all products have one tick's shape, so its bits depend on nothing but its
own words, cuts and ticks. State exists only while a session speaks; it begins as zeros, so that whoever feeds the same
words from the last silence on holds the same state: nothing of it needs to be stored.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor

from schemas.records import SpokenWord
from services.interaction.nano.model import one_thread
from services.interaction.protocol import DEFAULT_VOICE, SayInput, SayOutput
from services.interaction.speech.config import (
    DETAILS_PLACE,
    F0_PLACE,
    FEATURES,
    HOP,
    MELS,
    TICK_FRAMES,
    VOICED_PLACE,
    SpeechConfig,
)
from services.interaction.speech.g2p import ACCENTS, Phonemiser, read_lexicon
from services.interaction.speech.head import SpeechHead
from services.interaction.speech.letters import LetterNet, speak_letters
from services.interaction.speech.line import Cut, Frames, Line, Piece
from services.interaction.speech.vocoder import SILENCE, Vocoder, VocoderState

WEIGHTS, CONFIG, LEXICON = "speech.safetensors", "config.json", "lexicon.tsv.xz"


Floats = npt.NDArray[np.float32]


class UnknownVoice(ValueError):
    """No such voice; the message names those that there are."""


@dataclass(slots=True)
class _State:
    """A session while it speaks; tensors of one row."""

    encoder: Tensor
    decoder: Tensor
    vocoder: VocoderState
    codes: Tensor  # [symbols of the sentence, width]


@dataclass(slots=True)
class _Seat:
    voice: int
    line: Line
    state: _State | None = None


def voice_version(tensors: dict[str, Tensor], gains: Sequence[float]) -> str:
    """A name for exactly these weights, played at these gains: all that makes a voice's samples."""
    digest = hashlib.sha256(repr(tuple(gains)).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def falling(samples: int) -> Floats:
    """Half a cosine from above 0 to 0."""
    fall = 0.5 + 0.5 * np.cos(np.pi * (np.arange(samples) + 1) / samples)
    return fall.astype(np.float32)


class Speaker:
    """See the module, and ``SpeechOut`` in ``protocol``."""

    def __init__(
        self, config: SpeechConfig, head: SpeechHead, vocoder: Vocoder, phonemisers: dict[str, Phonemiser]
    ) -> None:
        self.config = config
        self.name = f"{config.name}-{config.release}+{config.version or 'untrained'}"
        self.voices = config.voices
        self._head, self._vocoder = head.eval(), vocoder.eval()
        self._phonemisers = phonemisers
        self._seats: dict[str, _Seat] = {}
        self._manners = {name: place for place, name in enumerate(config.manners)}
        self._gains = [np.float32(gain) for gain in config.gains or (1.0,) * len(config.voices)]

    @classmethod
    def load(cls, folder: Path) -> Speaker:
        """From a model folder.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: weights or gains are not those that the configuration names.
        """
        config = SpeechConfig.load(folder / CONFIG)
        tensors = {name: t.float() for name, t in load_file(folder / WEIGHTS).items()}
        found = voice_version(tensors, config.gains)
        if found != config.version:
            raise ValueError(f"{folder}: weights and gains are {found}, but {CONFIG} names {config.version}")
        parts: dict[str, dict[str, Tensor]] = {"head": {}, "vocoder": {}, "letters": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        head, vocoder, letters = SpeechHead(config), Vocoder(config), LetterNet()
        head.load_state_dict(parts["head"])
        vocoder.load_state_dict(parts["vocoder"])
        letters.load_state_dict(parts["letters"])
        guess = speak_letters(letters)
        lexicon = folder / LEXICON
        speak = {accent: Phonemiser(read_lexicon(lexicon, accent), accent, guess) for accent in ACCENTS}
        return cls(config, head, vocoder, speak)

    # --- sessions ----------------------------------------------------------------------------------------------

    def open(self, session_id: str, voice: str) -> None:
        """Begin in silence. Raises ``UnknownVoice``."""
        name = self.voices[0] if voice in ("", DEFAULT_VOICE) else voice
        if name not in self.voices:
            raise UnknownVoice(f"voice {voice!r}: there are {', '.join(self.voices)}")
        place = self.voices.index(name)
        self._seats[session_id] = _Seat(place, Line(self._phonemisers[self.config.accents[place]]))

    def is_open(self, session_id: str) -> bool:
        return session_id in self._seats

    def close(self, session_id: str) -> None:
        """Forget a session; unknown ids are ignored."""
        self._seats.pop(session_id, None)

    # --- a tick ------------------------------------------------------------------------------------------------

    def step(self, batch: Sequence[SayInput]) -> list[SayOutput]:
        """One tick of distinct open sessions, in order. Raises ``KeyError`` for one that is not open."""
        seats = [self._seats[item.session_id] for item in batch]
        cuts = [seat.line.break_off() if item.cut else None for item, seat in zip(batch, seats, strict=True)]
        refused = [0 if i.cut else seat.line.hear(i.text, i.manner) for i, seat in zip(batch, seats, strict=True)]
        sounding = [seat for seat in seats if seat.line.sounding]
        audio: dict[int, Floats] = {}
        if sounding:
            with torch.inference_mode(), one_thread():
                self._encode(sounding)
                made = self._render(sounding)
            audio = {id(seat): row for seat, row in zip(sounding, made.numpy(), strict=True)}
        return [
            self._finish(item, seat, audio.get(id(seat)), cut, count)
            for item, seat, cut, count in zip(batch, seats, cuts, refused, strict=True)
        ]

    def _finish(
        self,
        item: SayInput,
        seat: _Seat,
        samples: Floats | None,
        cut: Cut | None,
        refused: int,
    ) -> SayOutput:
        line = seat.line
        words: list[SpokenWord] = []
        pcm = None
        if samples is not None:
            words = [SpokenWord(*word) for word in line.end_tick(cut=item.cut)]
            samples = samples * self._gains[seat.voice]
            if cut is not None:
                samples[cut.fades * HOP : cut.silent * HOP] *= falling((cut.silent - cut.fades) * HOP)
                samples[cut.silent * HOP :] = 0.0
            pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        if item.cut:
            line.reset()
            seat.state = None
            refused += line.hear(item.text, item.manner)
        if not line.sounding:
            seat.state = None
        return SayOutput(pcm, words, line.report(), refused)

    # --- symbols -----------------------------------------------------------------------------------------------

    def _encode(self, seats: list[_Seat]) -> None:
        """Encode words until every session has frames for this tick; each round one word of each that needs more."""
        while True:
            wanted = [(seat, piece) for seat in seats if (piece := seat.line.wants()) is not None]
            if not wanted:
                return
            self._encode_round(wanted)

    def _encode_round(self, wanted: list[tuple[_Seat, Piece]]) -> None:
        states = [self._begun(seat, piece) for seat, piece in wanted]
        longest = max(len(piece.following) for _, piece in wanted)
        following = np.zeros((len(wanted), longest, wanted[0][1].following.shape[1]), dtype=np.int64)
        for row, (_, piece) in enumerate(wanted):
            following[row, : len(piece.following)] = piece.following
        ends = torch.tensor([len(piece.following) for _, piece in wanted])
        voices = torch.tensor([seat.voice for seat, _ in wanted])
        manners = torch.tensor([[self._manners.get(piece.manner, 0)] for _, piece in wanted]).expand(-1, longest)
        memory = torch.cat([state.encoder for state in states], dim=1)
        encoded, memory = self._head.encode_more(torch.from_numpy(following), voices, manners, memory, ends)
        for row, ((seat, piece), state) in enumerate(zip(wanted, states, strict=True)):
            count = len(piece.following)
            state.encoder = memory[:, row : row + 1]
            state.codes = torch.cat([state.codes, encoded.codes[row, :count]])
            logs = encoded.log_frames[row, :count].tolist()
            seat.line.give(piece, [round(math.exp(min(max(log, 0.0), 4.4))) for log in logs])

    def _begun(self, seat: _Seat, piece: Piece) -> _State:
        if seat.state is None:
            seat.state = _State(
                self._head.encoder.empty(1),
                self._head.decoder.empty(1),
                self._vocoder.empty(1),
                torch.zeros(0, self._head.width),
            )
        elif piece.first:  # a new sentence; the sound of the one before may still ring
            seat.state.encoder = self._head.encoder.empty(1)
            seat.state.decoder = self._head.decoder.empty(1)
            seat.state.codes = torch.zeros(0, self._head.width)
        return seat.state

    # --- frames ------------------------------------------------------------------------------------------------

    def _render(self, seats: list[_Seat]) -> Tensor:
        """A tick of each: ``[n, OUTPUT_SAMPLES]``."""
        states = [seat.state for seat in seats if seat.state is not None]
        frames = [seat.line.deal() for seat in seats]
        codes = torch.stack([s.codes[torch.from_numpy(f.codes)] for s, f in zip(states, frames, strict=True)])
        place = torch.from_numpy(np.stack([f.place for f in frames]))
        voices = torch.tensor([seat.voice for seat in seats])
        before = torch.cat([state.decoder for state in states], dim=1)
        out, memory = self._head.decode_more(codes, place, voices, before)
        for row, one in enumerate(frames):
            if one.begin:  # nothing was drawn before its first frame, so nothing of that is remembered
                only = slice(row, row + 1)
                out[only, one.begin :], memory[:, only] = self._head.decode_more(
                    codes[only, one.begin :], place[only, one.begin :], voices[only], before[:, only]
                )
        features = self._features(out, frames)
        joint = VocoderState(
            torch.cat([s.vocoder.tails for s in states], dim=1),
            *(
                torch.cat([getattr(s.vocoder, name) for s in states])
                for name in ("frame", "phase", "last", "sources", "overlap")
            ),
        )
        samples, joint = self._vocoder.advance(features, joint)
        for row, state in enumerate(states):
            state.decoder = memory[:, row : row + 1]
            state.vocoder = joint.pick(torch.tensor([row]))
        return samples

    def _features(self, out: Tensor, frames: list[Frames]) -> Tensor:
        """The decoder's output as the vocoder wants it: voicing decided, silence around the sentence."""
        features = torch.zeros(len(frames), TICK_FRAMES, FEATURES)
        features[..., :MELS] = out[..., :MELS]
        features[..., F0_PLACE] = out[..., F0_PLACE]
        features[..., VOICED_PLACE] = (out[..., VOICED_PLACE] > 0.0).float()
        if self.config.details:
            features[..., DETAILS_PLACE:] = out[..., DETAILS_PLACE:].clamp(-1.0, 1.0)
        for row, one in enumerate(frames):
            for silent in (slice(0, one.begin), slice(one.spoken, TICK_FRAMES)):
                features[row, silent, :MELS] = SILENCE
                features[row, silent, F0_PLACE:] = 0.0
        return features

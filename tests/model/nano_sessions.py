"""Random models and sessions for the model tests: weights are drawn, not trained, so that every path carries signal."""

from __future__ import annotations

import numpy as np
import torch

from schemas.records import TokenKind
from services.interaction.nano.config import SPECIAL_WORDS, NanoConfig
from services.interaction.nano.lexicon import Lexicon
from services.interaction.nano.model import NanoModel
from services.interaction.nano.network import NanoNet
from services.interaction.protocol import StepInput, StepOutput
from training.dictionary import bigram, tree

SMALL = NanoConfig(
    d=64,
    heads=4,
    head_width=32,
    windows=(2, 4, 7),
    dense_width=96,
    moe_from_layer=1,
    experts=4,
    expert_width=32,
    shared_width=32,
    top_k=2,
    text_words=(*SPECIAL_WORDS, *(f"t{n}" for n in range(13))),
    heard_words=("<none>", *(f"h{n}" for n in range(20))),
)


def network(config: NanoConfig = SMALL, seed: int = 0) -> NanoNet:
    torch.manual_seed(seed)
    net = NanoNet(config)
    for head in net.heads:
        head.weight.data *= 4.0
    return net.eval()


def lexicon_tables() -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Words of one to three drawn phones, so that any sound holds some."""
    rng = np.random.default_rng(0)
    words = tuple(f"h{n}" for n in range(30))
    ways = [{tuple(rng.integers(1, 41, rng.integers(1, 4)).tolist())} for _ in words]
    unigram = np.full(len(words), -np.log(len(words)))
    pairs = bigram([words, words[::-1]], {word: n for n, word in enumerate(words)}, unigram)
    return words, {**tree(ways, unigram), **pairs, "unigram": unigram, "usual": np.full(41, 1 / 41)}


def lexicon() -> Lexicon:
    words, tables = lexicon_tables()
    return Lexicon(words, tables, SMALL.heard_words)


def model(config: NanoConfig = SMALL, capacity: int = 24) -> NanoModel:
    return NanoModel(network(config), capacity, lexicon=lexicon())


def frames(session_id: str, ticks: int, d: int = SMALL.d, first_tick: int = 0) -> list[StepInput]:
    """A session's inputs, drawn from its name: audio always, pictures, texts, results and gaps now and then."""
    inputs = []
    for tick in range(first_tick, first_tick + ticks):
        rng = np.random.default_rng([*session_id.encode(), tick])
        kinds = [TokenKind.AUDIO] * 4
        kinds += [TokenKind.VIDEO] * 6 if rng.random() < 0.2 else []
        kinds += [TokenKind.TEXT] if rng.random() < 0.1 else []
        left = int(rng.integers(0, 9)) if rng.random() < 0.4 else 0
        inputs.append(
            StepInput(
                session_id=session_id,
                tick=tick,
                embeddings=rng.standard_normal((len(kinds), d)).astype(np.float16),
                kinds=np.array(kinds, dtype=np.uint8),
                gap_ms=40 * int(rng.random() < 0.1),
                pending_word=f"w{left}" if left else "",
                pending_left=left,
                delegated=bool(rng.random() < 0.3),
            )
        )
    return inputs


class Recorder:
    """Steps sessions and keeps every output and every logit's bits."""

    def __init__(self, nano: NanoModel) -> None:
        self.nano = nano
        self.outputs: dict[str, list[StepOutput]] = {}
        self.bits: dict[str, list[bytes]] = {}
        inner = nano._forward

        def kept(batch, sessions):
            decisions, phones = inner(batch, sessions)
            for row, item in enumerate(batch):
                raw = b"".join(d[row].contiguous().numpy().tobytes() for d in decisions)
                self.bits.setdefault(item.session_id, []).append(raw)
            return decisions, phones

        nano._forward = kept

    def step(self, batch: list[StepInput]) -> None:
        for item, output in zip(batch, self.nano.step(batch), strict=True):
            self.outputs.setdefault(item.session_id, []).append(output)


def alone(session_id: str, ticks: int, config: NanoConfig = SMALL) -> Recorder:
    """The session stepped by itself in a model of its own."""
    recorder = Recorder(model(config))
    recorder.nano.open(session_id, 0)
    for item in frames(session_id, ticks, config.d):
        recorder.step([item])
    return recorder

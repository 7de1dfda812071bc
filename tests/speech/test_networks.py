"""Networks in steps: the same bits for any number of ticks at once and any company; whole sequences agree closely."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from schemas.records import Manner
from services.interaction.nano.model import one_thread
from services.interaction.speech.config import HOP, PLACES, RATE_HZ, TICK_FRAMES, SpeechConfig
from services.interaction.speech.head import UNKNOWN_ID, ahead
from services.interaction.speech.vocoder import Vocoder, log_mel, mel_filters, noise_table
from tests.speech.voices import SMALL, features, networks

FULL = SpeechConfig(voices=SMALL.voices, accents=SMALL.accents)  # the sizes that are served


@pytest.fixture(scope="module", params=[SMALL, FULL], ids=["small", "served"])
def nets(request):
    return networks(request.param)


def in_chunks(vocoder: Vocoder, values: torch.Tensor, chunk: int) -> torch.Tensor:
    state, out = vocoder.empty(len(values)), []
    for at in range(0, values.shape[1], chunk * TICK_FRAMES):
        sound, state = vocoder.advance(values[:, at : at + chunk * TICK_FRAMES], state)
        out.append(sound)
    return torch.cat(out, dim=1)


@torch.inference_mode()
def test_a_vocoder_in_ticks_is_the_vocoder_at_once_to_the_bit(nets):
    values = features(3, 12 * TICK_FRAMES)
    with one_thread():
        at_once = in_chunks(nets[1], values, 12)
        for chunk in (1, 2, 5):
            assert torch.equal(in_chunks(nets[1], values, chunk), at_once)
        for row in range(3):
            assert torch.equal(in_chunks(nets[1], values[row : row + 1], 4), at_once[row : row + 1])


@torch.inference_mode()
def test_a_decoder_in_ticks_is_the_decoder_at_once_to_the_bit(nets):
    head, width = nets[0], nets[0].width
    rng = np.random.default_rng(1)
    codes = torch.from_numpy(rng.standard_normal((4, 96, width)).astype(np.float32))
    place = torch.from_numpy(rng.standard_normal((4, 96, PLACES)).astype(np.float32))
    voices = torch.tensor([0, 1, 2, 1])
    with one_thread():
        at_once, _ = head.decode_more(codes, place, voices, head.decoder.empty(4))
        state, out = head.decoder.empty(4), []
        for at in range(0, 96, TICK_FRAMES):
            part, state = head.decode_more(codes[:, at : at + 16], place[:, at : at + 16], voices, state)
            out.append(part)
        alone, _ = head.decode_more(codes[2:3], place[2:3], voices[2:3], head.decoder.empty(1))
    assert torch.equal(torch.cat(out, dim=1), at_once)
    assert torch.equal(alone, at_once[2:3])
    torch.testing.assert_close(head.decode(codes, place, voices), at_once, atol=1e-4, rtol=1e-3)


@torch.inference_mode()
def test_symbols_word_by_word_are_the_sentence_at_once_to_the_bit_whatever_is_padded(nets):
    head = nets[0]
    rng = np.random.default_rng(2)
    following = torch.from_numpy(rng.integers(1, 40, size=(2, 23, 7)))
    voices, manners = torch.tensor([0, 2]), torch.from_numpy(rng.integers(0, len(Manner), size=(2, 23)))
    with one_thread():
        at_once, _ = head.encode_more(following, voices, manners, head.encoder.empty(2), torch.tensor([23, 23]))
        state, parts, at = head.encoder.empty(1), [], 0
        for word, padding in ((5, 0), (1, 3), (9, 2), (8, 0)):
            piece = torch.zeros(1, word + padding, 7, dtype=torch.int64)
            piece[:, :word] = following[:1, at : at + word]
            meant = torch.zeros(1, word + padding, dtype=torch.int64)
            meant[:, :word] = manners[:1, at : at + word]
            encoded, state = head.encode_more(piece, voices[:1], meant, state, torch.tensor([word]))
            parts.append(encoded.codes[:, :word])
            at += word
    assert torch.equal(torch.cat(parts, dim=1), at_once.codes[:1])
    whole = head.encode(following, voices, manners)
    torch.testing.assert_close(whole.codes, at_once.codes, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(whole.log_frames, at_once.log_frames, atol=1e-4, rtol=1e-3)


@torch.inference_mode()
def test_silence_makes_silence(nets):
    quiet = torch.zeros(1, 4 * TICK_FRAMES, features(1, 1).shape[2])
    sound = in_chunks(nets[1], quiet, 1)
    assert torch.isfinite(sound).all()


def test_nothing_is_sung_below_hearing(nets):
    """Where the filter would draw a wave of 10 Hz there is none, whatever it draws."""
    _, vocoder = nets
    with torch.inference_mode():
        sound, _ = vocoder.advance(features(1, 320), vocoder.empty(1))
    power = torch.fft.rfft(sound[0] * torch.hann_window(len(sound[0]))).abs().square()
    hz = torch.arange(len(power)) * RATE_HZ / len(sound[0])
    assert power[hz < 15].mean() < 1e-3 * power[(hz > 60) & (hz < 200)].mean()


def test_what_is_not_known_yet_is_hidden_from_the_symbols_before():
    ids, horizon = np.arange(10, 15), np.array([5, 2, 2, 4, 5])
    assert ahead(ids, horizon)[1].tolist() == [11] + [UNKNOWN_ID] * 6
    assert ahead(ids, horizon)[3].tolist() == [13] + [UNKNOWN_ID] * 6
    assert ahead(ids, horizon)[0].tolist() == [10, 11, 12, 13, 14, UNKNOWN_ID, UNKNOWN_ID]


def test_mels_look_back_only():
    rng = np.random.default_rng(3)
    audio = torch.from_numpy(rng.standard_normal((1, 40 * HOP)).astype(np.float32) * 0.1)
    changed = audio.clone()
    changed[:, 20 * HOP :] += 0.3
    assert torch.equal(log_mel(audio)[:, :20], log_mel(changed)[:, :20])
    assert not torch.equal(log_mel(audio)[:, 20:], log_mel(changed)[:, 20:])
    assert (mel_filters().sum(dim=0) > 0).all()


def test_noise_is_white_of_unit_power_and_the_same_everywhere():
    noise = noise_table()
    assert abs(float(noise.mean())) < 0.01 and abs(float(noise.square().mean()) - 1.0) < 0.01
    spectrum = torch.fft.rfft(noise.view(-1, 1024)).abs().square().mean(dim=0)[1:-1]
    assert float(spectrum.max() / spectrum.min()) < 2.5
    assert noise[:3].tolist() == pytest.approx(noise_table()[:3].tolist(), abs=0)

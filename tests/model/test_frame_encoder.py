"""The learned half of the encoder: shapes, kinds, order, and bits that do not depend on neighbours."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from schemas.records import TokenKind
from services.encoder import video
from services.encoder.model import EncoderNet, FrameEncoder, text_buckets, weights_version

D = 64


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(3)
    net = EncoderNet(D)
    return FrameEncoder(net, weights_version(net.state_dict()))


def _jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (320, 240)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def _frames(count: int):
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 128, (count, 4, 8, 80)).astype(np.uint8)
    patches = [rng.integers(0, 256, (6, 2, 40, 40, 3)).astype(np.uint8) if n % 3 == 0 else None for n in range(count)]
    texts = ["what time is it" if n % 4 == 0 else "" for n in range(count)]
    return codes, patches, texts


def test_tokens_come_in_the_promised_order(encoder):
    kinds, embeddings = encoder.encode(*_frames(1))[0]
    assert kinds.tolist() == [TokenKind.AUDIO] * 4 + [TokenKind.VIDEO] * 6 + [TokenKind.TEXT]
    assert (embeddings.shape, embeddings.dtype) == ((11, D), np.float16)
    assert np.isfinite(embeddings).all()


def test_neighbours_and_batch_size_change_no_bit(encoder):
    codes, patches, texts = _frames(19)
    together = encoder.encode(codes, patches, texts)
    for n in range(19):
        kinds, embeddings = encoder.encode(codes[n : n + 1], patches[n : n + 1], texts[n : n + 1])[0]
        assert (kinds == together[n][0]).all()
        assert embeddings.tobytes() == together[n][1].tobytes()


def test_an_audio_token_is_two_layers_over_its_windows(encoder):
    codes, _, _ = _frames(1)
    _, embeddings = encoder.encode(codes, [None], [""])[0]
    net = encoder._net
    first, bias, second = (p.detach().double().numpy() for p in (net.heard_1, net.heard_bias, net.heard_2))
    for token in range(4):
        x = (codes[0, token].reshape(-1).astype(np.float64) - 60) / 20
        total = second @ np.maximum(first @ x + bias, 0.0) ** 2
        expected = total / np.sqrt((total**2).mean() + 1e-6)
        np.testing.assert_allclose(embeddings[token], expected, rtol=2e-3, atol=2e-3)


def test_patches_change_with_either_picture_and_place(encoder):
    red, blue = np.full((80, 120, 3), (200, 0, 0), np.uint8), np.full((80, 120, 3), (0, 0, 200), np.uint8)
    codes = np.zeros((3, 4, 8, 80), np.uint8)
    pairs = [video.pair_patches(red, red), video.pair_patches(red, blue), video.pair_patches(blue, red)]
    seen = [e[4:10] for _, e in encoder.encode(codes, pairs, ["", "", ""])]
    assert not np.allclose(seen[0], seen[1])
    assert not np.allclose(seen[1], seen[2])
    assert not np.allclose(seen[0][0], seen[0][1])  # same colour, another place


def test_text_is_a_bag_of_lower_cased_words():
    assert text_buckets("What's the TIME?") == text_buckets("what's the time")
    assert sorted(text_buckets("b a")) == sorted(text_buckets("a b"))
    assert text_buckets(" ?! ") == []


def test_a_text_without_words_gives_no_token(encoder):
    kinds, _ = encoder.encode(np.zeros((1, 4, 8, 80), np.uint8), [None], ["?!"])[0]
    assert TokenKind.TEXT not in kinds


def test_pictures_become_pairs_of_patches_in_reading_order():
    image = np.zeros((80, 120, 3), np.uint8)
    image[40:80, 80:120] = 255  # the last patch
    patches = video.pair_patches(np.zeros_like(image), image)
    assert patches.shape == (6, 2, 40, 40, 3)
    assert (patches[5, 1] == 255).all()
    assert not patches[:5].any()
    assert not patches[5, 0].any()


def test_the_former_picture_stands_first_and_the_newest_is_kept():
    patches, newest = video.patches_from([_jpeg((255, 0, 0))])
    assert patches is not None
    assert (patches[:, 0] == patches[:, 1]).all()
    again, last = video.patches_from([_jpeg((0, 255, 0)), _jpeg((0, 0, 255))], newest)
    assert again[0, 0, 20, 20, 1] > 200
    assert again[0, 1, 20, 20, 2] > 200
    assert last[40, 60, 2] > 200
    assert video.patches_from([], newest) == (None, newest)


@pytest.mark.parametrize("raw", [b"", b"no picture", _jpeg((1, 2, 3))[:-200], b"\x89PNG\r\n\x1a\n" + b"0" * 40])
def test_broken_pictures_are_refused_by_name(raw):
    with pytest.raises(video.UndecodablePicture):
        video.patches_from([raw])

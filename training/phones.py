"""One set of phones for all engines that say when each sounds: what the auxiliary loss of hearing is about."""

from __future__ import annotations

PHONES = (
    "pau aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh"
).split()
PAUSE = 0
UNKNOWN = -1  # no target there
_PLACE = {name: n for n, name in enumerate(PHONES)}
_IPA = dict(
    zip(
        (
            "ɑ æ ʌ ɔ W ə I b ʧ d ð ɛ ɜ A f ɡ h ɪ i ʤ k l m n ŋ O Y p ɹ s ʃ t θ ʊ u v w j z ʒ "
            "ɚ Q ɾ T ᵻ ᵊ ɒ a ɐ e ʔ x o"
        ).split(),
        (
            "aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh "
            "er ow t t ih ax aa aa ah eh t k ow"
        ).split(),
        strict=True,
    )
)
_BEFORE_NEXT, _WITH_LAST = "ˈˌ", "ː"  # marks with a duration of their own, which belongs to a neighbour

Phone = tuple[int, int]
"""A phone's place in ``PHONES`` (or ``UNKNOWN``) and its end in samples."""


def from_flite(names: list[str], ends: list[int]) -> list[Phone]:
    """Flite's names as they are; one that is not in the set is unknown."""
    return [(_PLACE.get(name, UNKNOWN), end) for name, end in zip(names, ends, strict=True)]


_TWO_AS_ONE = dict(
    zip("aɪ eɪ oʊ əʊ aʊ ɔɪ tʃ dʒ ɜɹ əɹ".split(), "ay ey ow ow aw oy ch jh er er".split(), strict=True),
)
_VOWELS = frozenset("AIOQWYaeiouæɑɐɒɔəɛɜɪʊʌɚᵊᵻ")


def from_ipa(symbols: str, ends: list[int]) -> list[Phone]:
    """Kokoro's symbols: a stress mark's time is its vowel's, a space's is nobody's, a mark's is a pause. Some engines
    write a diphthong, an affricate or an r-coloured vowel as two symbols: it is one phone here, as flite has it."""
    sounds: list[tuple[str, int]] = []
    for symbol, end in zip(symbols, ends, strict=True):
        if symbol == _WITH_LAST and sounds:
            sounds[-1] = (sounds[-1][0], end)
        elif symbol not in _BEFORE_NEXT:
            sounds.append((symbol, end))
    out: list[Phone] = []
    place = 0
    while place < len(sounds):
        pair = "".join(symbol for symbol, _ in sounds[place : place + 2])
        after = sounds[place + 2][0] if place + 2 < len(sounds) else ""
        joined = pair in _TWO_AS_ONE and not (pair == "əɹ" and after in _VOWELS)
        place += 2 if joined else 1
        symbol, end = sounds[place - 1]
        if joined:
            out.append((_PLACE[_TWO_AS_ONE[pair]], end))
        elif symbol in ".,?!;:^$":
            out.append((0, end))
        else:
            out.append((_PLACE[_IPA[symbol]] if symbol in _IPA else UNKNOWN, end))
    return out

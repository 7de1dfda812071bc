"""Derives ``models/speech/lexicon.tsv.xz`` from the dictionaries of the package ``misaki`` (Apache-2.0)."""

from __future__ import annotations

import importlib.util
import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

LEXICON = Path("models/speech/lexicon.tsv.xz")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
_MORE = {  # spoken by the skills, absent there: (American, British)
    "mm": ("ˈəm", "ˈəm"),
    "hm": ("hˈəm", "hˈəm"),
    "mhm": ("əmhˈəm", "əmhˈəm"),
    "uh": ("ˈʌ", "ˈʌ"),
    "huh": ("hˈʌ", "hˈʌ"),
    "microturn": ("mˈIkɹOtˌɜɹn", "mˈIkɹQtˌɜːn"),
    "oh": ("ˈO", "ˈQ"),
    "ok": ("ˌOkˈA", "ˌQkˈA"),
    "okay": ("ˌOkˈA", "ˌQkˈA"),
    "wifi": ("wˈIfˌI", "wˈIfˌI"),
    # What nano says in Spanish, as English mouths can.
    "dos": ("dˈOs", "dˈQs"),
    "tres": ("tɹˈɛs", "tɹˈɛs"),
    "cinco": ("sˈiŋkO", "sˈiːŋkQ"),
    "seis": ("sˈAs", "sˈAs"),
    "siete": ("sijˈɛtˌA", "sijˈɛtˌA"),
    "ocho": ("ˈOʧˌO", "ˈQʧˌQ"),
    "nueve": ("nuwˈAvˌA", "nuwˈAvˌA"),
    "diez": ("dˌiˈɛs", "dˌiˈɛs"),
    "verde": ("vˈɛɹdˌA", "vˈɛːdˌA"),
    "azul": ("əsˈul", "əsˈuːl"),
    "amarillo": ("ˌɑmɑɹˈijˌO", "ˌaməɹˈiːjˌQ"),
    "negro": ("nˈAɡɹO", "nˈAɡɹQ"),
    "naranja": ("nɑɹˈɑnhɑ", "nəɹˈanhə"),
    "café": ("kæfˈA", "kafˈA"),
    "gris": ("ɡɹˈis", "ɡɹˈiːs"),
}


def _data() -> Path:
    spec = importlib.util.find_spec("misaki")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package misaki is not installed: pip install 'microturn[train]'")
    return Path(spec.submodule_search_locations[0]) / "data"


def _entries(accent: str) -> dict[str, str]:
    """Lower-case words to phonemes. Gold before silver, common nouns before names; homographs by their default."""
    found: dict[str, str] = {}
    for name in ("silver", "gold"):
        raw: dict[str, Any] = json.loads((_data() / f"{accent}_{name}.json").read_text(encoding="utf-8"))
        for word in sorted(raw, key=lambda w: (w == w.lower(), w)):  # lower case last, so that it wins
            value = raw[word]
            phones = value["DEFAULT"] if isinstance(value, dict) else value
            if phones is None:
                continue
            if len(word) == 1 and word.isupper():
                found[f"{word.lower()}."] = phones
            elif _WORD.fullmatch(word.lower()) and len(word) > 1 and (len(word) < 4 or word != word.upper()):
                found[word.lower()] = phones
    return found


def build(out: Path = LEXICON) -> int:
    """Write ``word, American, British`` lines, sorted; returns how many."""
    american, british = _entries("us"), _entries("gb")
    american["a."], british["a."] = "ˈA", "ˈA"
    for word, (us, gb) in _MORE.items():
        american[word], british[word] = us, gb
    lines = [f"{w}\t{american.get(w, '')}\t{british.get(w, '')}" for w in sorted(american.keys() | british.keys())]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(lzma.compress("\n".join(lines).encode(), preset=9))
    return len(lines)


def main() -> int:
    count = build()
    print(f"{count} words, {LEXICON.stat().st_size / 1e6:.2f} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

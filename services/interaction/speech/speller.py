"""Written tokens to spoken words: numbers, money, times, dates, abbreviations, symbols. Plain rules, English."""

from __future__ import annotations

import re
from typing import NamedTuple

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONEY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen")}
_PLURALS = {"penny": "pence", "yen": "yen", "sen": "sen", "foot": "feet", "hertz": "hertz", "celsius": "celsius"}
_UNITS = {
    "km": "kilometre",
    "cm": "centimetre",
    "mm": "millimetre",
    "m": "metre",
    "kg": "kilogram",
    "g": "gram",
    "mg": "milligram",
    "lb": "pound",
    "lbs": "pound",
    "ft": "foot",
    "ml": "millilitre",
    "l": "litre",
    "s": "second",
    "ms": "millisecond",
    "min": "minute",
    "h": "hour",
    "hz": "hertz",
    "khz": "kilohertz",
    "mb": "megabyte",
    "gb": "gigabyte",
    "kb": "kilobyte",
    "mph": "miles per hour",
    "km/h": "kilometres per hour",
    "%": "percent",
    "°": "degree",
    "°c": "degrees celsius",
    "°f": "degrees fahrenheit",
}
_ABBREVIATIONS = {
    "mr": "mister",
    "mrs": "missus",
    "ms": "miz",
    "dr": "doctor",
    "prof": "professor",
    "st": "saint",
    "vs": "versus",
    "etc": "et cetera",
    "e.g": "for example",
    "i.e": "that is",
    "approx": "approximately",
    "no": "no",
    "jan": "january",
    "feb": "february",
    "aug": "august",
    "sept": "september",
    "oct": "october",
    "nov": "november",
    "dec": "december",
}
_DOTTED = frozenset("mr mrs ms dr prof vs etc e.g i.e approx jan feb aug sept oct nov dec".split())
_SYMBOLS = {"&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number", "%": "percent", "/": "slash"}
_SCALE_WORDS = frozenset("hundred thousand million billion trillion".split())
_LETTERS = {"a", "i", "o"}
_ADDRESS = re.compile(r"(?:https?://|www\.).+|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|de|uk)")
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"


class Spoken(NamedTuple):
    """Lower-case words of one token, and the mark that follows: one of ``"" , . ? !``. A letter is ``"b."``."""

    words: tuple[str, ...]
    mark: str


def cardinal(number: int) -> list[str]:
    """Words of a whole number below 10^15, e.g. ``two hundred five``; longer ones digit by digit."""
    if number >= 10**15:
        return digits(str(number))
    for scale, name in _SCALES:
        if number >= scale:
            rest = number % scale
            return [*cardinal(number // scale), name, *(cardinal(rest) if rest else [])]
    if number >= 100:
        rest = number % 100
        return [_ONES[number // 100], "hundred", *(cardinal(rest) if rest else [])]
    if number >= 20:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    return [_ONES[number]]


def ordinal(number: int) -> list[str]:
    """``twenty first`` and so on."""
    *head, last = cardinal(number)
    if last in _ORDINALS:
        return [*head, _ORDINALS[last]]
    return [*head, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"]


def digits(text: str) -> list[str]:
    return [_ONES[int(c)] for c in text if c.isdigit()]


def year(number: int) -> list[str]:
    """1984 is nineteen eighty four, 2005 two thousand five, 1900 nineteen hundred."""
    if 2000 <= number <= 2009:
        return cardinal(number)
    century, rest = divmod(number, 100)
    if rest == 0:
        return [*cardinal(century), "hundred"]
    return [*cardinal(century), *(["oh"] if rest < 10 else []), *cardinal(rest)]


def _plural(noun: str) -> str:
    if " " in noun:
        return noun
    return _PLURALS.get(noun, f"{noun}s")


def _decimal(text: str) -> list[str]:
    whole, _, part = text.replace(",", "").partition(".")
    return [*cardinal(int(whole or "0")), *(["point", *digits(part)] if part else [])]


def _money(sign: str, amount: str, after: str) -> list[str]:
    unit, small = _MONEY[sign]
    whole, _, part = amount.replace(",", "").partition(".")
    if after in _SCALE_WORDS:
        return _decimal(amount)  # the unit follows the scale word: five million dollars
    pounds, cents = int(whole or "0"), int((part + "0")[:2]) if part else 0
    said: list[str] = []
    if pounds or not cents:
        said += [*cardinal(pounds), unit if pounds == 1 else _plural(unit)]
    if cents:
        said += [*(["and"] if said else []), *cardinal(cents), small if cents == 1 else _plural(small)]
    return said


def _clock(hours: str, minutes: str, half: str) -> list[str]:
    said = cardinal(int(hours))
    if int(minutes or "0"):
        said += [*(["oh"] if minutes.startswith("0") else []), *cardinal(int(minutes))]
    elif not half:
        said += ["o'clock"]
    return said + ([f"{half[0]}.", "m."] if half else [])


def _whole(text: str) -> list[str]:
    if "," not in text and (len(text) > 7 or (text[0] == "0" and len(text) > 1)):
        return digits(text)
    number = int(text.replace(",", ""))
    if "," not in text and len(text) == 4 and 1100 <= number <= 2099:
        return year(number)
    return cardinal(number)


def _numeric(token: str, after: str) -> list[str] | None:
    """Words of a token that begins with a digit or a sign of money, or None when it is no number."""
    if m := re.fullmatch(rf"([$£€¥])((?:{_NUMBER})(?:\.\d+)?)", token):
        return _money(m[1], m[2], after)
    if m := re.fullmatch(r"(\d{1,2}):(\d{2})(?:([ap])\.?m\.?)?", token):
        return _clock(m[1], m[2], m[3] or "")
    if m := re.fullmatch(r"(\d{1,2})([ap])\.?m\.?", token):
        return _clock(m[1], "", m[2])
    if m := re.fullmatch(r"([-−]?)(\d[\d,]*(?:\.\d+)?)(.*)", token):
        sign = ["minus"] if m[1] else []
        number, tail = m[2].rstrip(","), m[3]
        if not tail:
            return sign + (_decimal(number) if "." in number else _whole(number))
        if tail in ("st", "nd", "rd", "th") and "." not in number:
            return ordinal(int(number.replace(",", "")))
        if tail == "s" and re.fullmatch(r"\d+0", number):  # the 1990s
            *head, last = _whole(number)
            return [*head, f"{last[:-1]}ies" if last.endswith("y") else f"{last}s"]
        if tail in _UNITS:
            unit = _UNITS[tail]
            one = number == "1" or tail == "%"
            return sign + _decimal(number) + (unit if one else _plural(unit)).split()
        if (m2 := re.fullmatch(r"[-–](\d[\d,]*(?:\.\d+)?)", tail)) and not sign:
            return [*_decimal(number), "to", *_decimal(m2[1].rstrip(","))]
        if m2 := re.fullmatch(r"/(\d+)", tail):
            if (number, m2[1]) == ("1", "2"):
                return ["one", "half"]
            over = "quarter" if m2[1] == "4" else ordinal(int(m2[1]))[-1]
            return [*sign, *cardinal(int(number)), over if number == "1" else f"{over}s"]
    return None


def _letters(word: str) -> list[str]:
    return [f"{c}." for c in word.lower() if c.isalpha()]


def _plain(token: str, raw: str, before: str) -> list[str]:
    """Words of a token without a leading digit. ``raw`` still has its case."""
    if before[:1] in _MONEY and token in _SCALE_WORDS:
        return [token, _plural(_MONEY[before[0]][0])]
    if token in _SYMBOLS:
        return [_SYMBOLS[token]]
    if "@" in token or _ADDRESS.fullmatch(token):
        return _address(token)
    if re.fullmatch(r"(?:[a-z]\.)+[a-z]\.?", token):
        return _letters(token)
    said: list[str] = []
    for part in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+|[&+=@#%]", token):
        if part.isdigit():
            said += _whole(part)
        elif part in _SYMBOLS:
            said.append(_SYMBOLS[part])
        elif len(part) == 1 and part not in _LETTERS:
            said += _letters(part)
        else:
            said.append(part)
    return said


def _address(token: str) -> list[str]:
    said: list[str] = []
    for part in re.findall(r"[a-z]+|\d|[.@/-]", re.sub(r"^https?://", "", token)):
        if part.isdigit():
            said += digits(part)
        elif part == "www":
            said += _letters(part)
        else:
            said.append({".": "dot", "@": "at", "/": "slash", "-": "dash"}.get(part, part))
    return said


def spell(token: str, before: str = "", after: str = "") -> Spoken:
    """One token (no spaces in it) between its neighbours. Unspeakable tokens give no words; none raises."""
    raw = token.replace("’", "'").strip("\"“”‘()[]{}<>*_`'")
    bare = raw.rstrip(",.;:?!…—–\"”)]*_`'")
    tail = token[token.find(bare) + len(bare) :] if bare else token
    mark = next((m for m in "?!" if m in tail), "")
    mark = mark or ("," if any(c in tail for c in ",;:—–") else "." if any(c in tail for c in ".…") else "")
    low = bare.lower()
    if low in _DOTTED and tail.startswith(".") and low not in ("etc",):
        mark = mark if mark in ("?", "!", ",") else ""
    if low in _ABBREVIATIONS and (tail.startswith(".") or low in ("mr", "mrs", "vs", "etc", "dr")) and low != "no":
        return Spoken(tuple(_ABBREVIATIONS[low].split()), mark)
    numeric = _numeric(low, after.lower().rstrip(".,;:?!")) if low[:1].isdigit() or low[:1] in "$£€¥-−" else None
    words = numeric if numeric is not None else _plain(low, bare, before)
    acronym = re.fullmatch(r"[A-Z]{2,5}s?", bare) and numeric is None
    if acronym and not re.search(r"[AEIOUY]", bare):
        words = _letters(bare.rstrip("s")) if bare.endswith("s") else _letters(bare)
    return Spoken(tuple(words), mark)

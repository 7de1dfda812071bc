"""Which words the own transcript can write: all of the skills' own, and the most frequent of everything else said.

``python -m training.lexis`` counts them anew and writes ``heard_words.txt``, so that a vocabulary does not depend on
what is installed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

from training.phrases import BACKCHANNELS, FREE, TRAINING
from training.skills.words import CATEGORIES, HEARD_WORDS

WORDS = 4000
_SKILLS = 1000  # the weight of a word that a skill is about


def counted(opened: Iterable[str]) -> Counter[str]:
    """Words by frequency in phrases, free speech and open sentences; those of skills before all others."""
    found = Counter(word for text in opened for word in text.split())
    found.update(word for texts in FREE[False].values() for text in texts for word in text.split())
    found.update(word for phrase in TRAINING for word in phrase.words)
    skills = {word for phrase in TRAINING if not phrase.delegate for word in phrase.words}
    skills |= {word for text in BACKCHANNELS for word in text.split()}
    skills |= {word for words in CATEGORIES.values() for word in words}
    for word in skills:
        found[word] += _SKILLS
    return found


def main() -> int:
    from training.opened import open_texts

    most = [word for word, _ in counted(open_texts()).most_common(WORDS)]
    HEARD_WORDS.write_text("\n".join(sorted(most)) + "\n")
    print(f"{len(most)} words")
    return 0


if __name__ == "__main__":
    sys.exit(main())

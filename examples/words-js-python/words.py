"""The library: counts the words of a text."""
import re
from collections import Counter

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import words

WORDS_MAX = 100_000
SMALL = str.maketrans({letter: chr(letter | 0x20) for letter in range(ord("A"), ord("Z") + 1)})


class Words(exports.Words):
    def summarize(self, text: str, limit: int) -> words.Summary:
        found = [word for word in re.split(r"[ \t-\r]+", text.translate(SMALL)) if word]
        times = Counter(found)
        if len(times) > WORDS_MAX:
            raise Err("too many different words")
        longest = max(found, key=lambda word: len(word.encode()), default="")
        # Not most_common(), which imports a module when it is called: there are no files any more then.
        most = [words.Word(word, count) for word, count in sorted(times.items(), key=lambda item: -item[1])[:limit]]
        return words.Summary(len(found), longest, most)

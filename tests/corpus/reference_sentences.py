"""The rules of `norcli.corpus.sentence_kernel`, slow and readable, over Python strings."""

from __future__ import annotations

import re

from norcli.corpus.sentences import read_words

WORDS = read_words()
MARKS, DASHES, VOWELS = ".!?…", "-–—", "aeiouyæøåäöáï"
QUOTES = "\"'”’»“‘«`›‹„″´"
DIGITS = "0123456789"
ABBREVIATIONS = WORDS["joining"] | WORDS["units"] | WORDS["ending"] | WORDS["numbered"]


def is_letter(c: str) -> bool:
    return c.isalpha() if c < "\u3000" else c < "\U00010000"


def is_lower(c: str) -> bool:
    return c < "\u3000" and c.isalpha() and c.islower()


def is_upper(c: str) -> bool:
    return c < "\u3000" and c.isalpha() and (c.isupper() or c.istitle())


def is_space(c: str) -> bool:
    return c < "\u3000" and c.isspace()


def is_alnum(c: str) -> bool:
    return c in DIGITS or is_letter(c)


def lowered(word: str) -> str:
    return "".join(c.lower() if c < "\u3000" and len(c.lower()) == 1 else c for c in word)


def reference_spans(text: str) -> list[tuple[int, int]]:
    spans, position = [], 0
    for line in text.split("\n"):
        spans += [(position + a, position + b) for a, b in spans_of_line(line)]
        position += len(line) + 1
    return spans


def spans_of_line(line: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = i = skip_space(line, 0)
    talk = False
    while i < len(line):
        smiley = smiley_at(line, i)
        marks = re.match("[.!?…]*", line[i:]).group()  # type: ignore[union-attr]
        mark = smiley or marks
        if not mark:
            i += 1
            continue
        place, i = i, i + len(mark)
        while i < len(line) and line[i] in QUOTES + ")]":
            i += 1
        end, closers = i, line[place + len(mark) : i]
        after = skip_space(line, i)
        if after == i or after >= len(line):
            continue
        talk = talk or line[start] in DASHES + QUOTES
        if ends_sentence(line, start, place, mark, closers, after, talk, bool(smiley)):
            spans.append((start, end))
            start = after
        i = after
    end = len(line)
    while end > start and is_space(line[end - 1]):
        end -= 1
    return [*spans, (start, end)] if start < end else spans


def skip_space(line: str, i: int) -> int:
    while i < len(line) and is_space(line[i]):
        i += 1
    return i


def smiley_at(line: str, i: int) -> str:
    if line[i] > "\uffff":
        return re.match("[\U00010000-\U0010ffff\ufe0f\u200d]+", line[i:]).group()  # type: ignore[union-attr]
    match = re.match(r"[:;=][-']?(\)+|\(+|D+|P+)", line[i:])
    if match is None:
        return ""
    before = line[i - 1] if i else " "
    after = line[i + match.end() : i + match.end() + 1]
    if (
        before in DIGITS
        or (is_letter(before) and match[1][0] != ")")
        or (after and is_alnum(after))
    ):
        return ""
    return match.group()


def ends_sentence(
    line: str, start: int, place: int, mark: str, closers: str, after: int, talk: bool, smiley: bool
) -> bool:
    if smiley_at(line, after):
        return False
    i = after
    while i < len(line) and not is_alnum(line[i]) and line[i] not in MARKS:
        i += 1
    if i >= len(line) or line[i] in MARKS:
        return False
    opening = line[after:i]
    rest = line[i:]
    small = is_lower(line[i]) and not re.match(r"https?://|www\.", rest if len(rest) >= 8 else "")
    following = letters_at(line, i)
    next_word = lowered(following)
    starter = next_word in WORDS["starters"] and line[i + len(following) :][:1] not in (".", "-")
    if smiley:
        return not small or is_lower(line[first_letter(line, start)])
    if "!" in mark or "?" in mark:
        speaks = any(c in QUOTES for c in closers) or any(c in DASHES for c in opening)
        return not small or not (talk or speaks or next_word in WORDS["speech"])
    if len(mark) > 1 or mark == "…":
        return not small
    word = word_before(line, start, place)
    if small:
        return not (closers or opening) and goes_on_small(line, start, word)
    if closers.strip("'’"):
        return True
    if word and all(c in DIGITS for c in word):
        return after_number(line, start, place - len(word), word, i, next_word, starter)
    return after_word(word, line[i] in DIGITS, starter)


def goes_on_small(line: str, start: int, word: str) -> bool:
    if lowered(word) in ABBREVIATIONS or len(word) < 2 or not all(map(is_letter, word)):
        return False
    if is_lower(line[first_letter(line, start)]):
        return True
    return len(word) >= 4 and any(lowered(c) in VOWELS for c in word)


def after_number(
    line: str, start: int, place: int, word: str, i: int, next_word: str, starter: bool
) -> bool:
    if len(word) <= 3 and first_letter(line, start) == place:
        return False
    if next_word in WORDS["ordinals"]:
        return False
    if match := re.match(r"([0-9]+)(\.?)", line[i:]):
        day = len(match[1]) <= 2 and match[2] == "."
        month = len(match[1]) == 4 and re.search(r"[0-9]\. \Z", line[start:place])
        return not (len(word) <= 2 and (day or month))
    before = line[start:place].rstrip(" ").rpartition(" ")[2]
    return not (len(word) <= 3 and not starter and lowered(before) in WORDS["articles"])


def after_word(word: str, number_follows: bool, starter: bool) -> bool:
    known = lowered(word)
    if known in WORDS["numbered"] and number_follows:
        return False
    if len(word) > 1 and all(map(is_upper, word)):
        return True
    if known in WORDS["joining"]:
        return False
    if known in WORDS["units"]:
        return starter
    if known in WORDS["ending"]:
        return True
    last = word[-1:]
    if len(word.rpartition(".")[2]) == 1 and last and is_letter(last):
        return starter if is_upper(last) or len(word) > 1 or lowered(last) not in VOWELS else True
    return True


def first_letter(line: str, i: int) -> int:
    while i < len(line) and not is_alnum(line[i]):
        i += 1
    return i


def word_before(line: str, start: int, end: int) -> str:
    i = end
    while i > start and end - i < 24 and (is_alnum(line[i - 1]) or line[i - 1] in ".-&/:'’"):
        i -= 1
    while i < end and not is_alnum(line[i]):
        i += 1
    return line[i:end]


def letters_at(line: str, i: int) -> str:
    j = i
    while j < len(line) and j - i < 24 and is_letter(line[j]):
        j += 1
    return line[i:j]

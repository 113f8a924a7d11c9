"""Sentence boundaries for the nine languages: one pattern, abbreviations and ordinals.

For statistics and the `--sentences` field of `crawl-filter` (report section 3.2, "sentence
segmentation"). Boundaries are spans of the text as it stands; nothing is rewritten. A line end is
always a boundary.
"""

from __future__ import annotations

import re

# Words that end in a full stop inside a sentence; a capital letter may follow them.
_ABBREVIATION_TEXT = """
    a.m adm adr alm ang anm ann approx apr art aug avd avg avs bd bl bl.a bla bzw ca cand cf co
    corp d.e d.eks d.h d.l d.v.s dec dep dept des dir div dl dr dr.philos dvs e.g e.kr e.l ee
    eks ekskl eller etc evt evtl exp f.eks f.kr f.o.m f.v f.å feb feks fig fm forts fr fr.o.m
    fru fung følg gen ggf gl gov gr h.c hhv hr i.e ifht iht inc inkl innb int istf itd jan jf
    jfr jnr jr jul jun jur juv kand kap kgl kl kmt komm kommun kr kst kv l.nr lok ltd lø m.a
    m.a.o m.fl m.h.p m.h.t m.m m.v mag mht mill min mnd moh mr mrd mrs ms muh mv n.å ndf nov nr
    nu.ov o.a o.a.s o.fl o.l o.s.v obs oct okt osb osv p.g.a p.m p.t pga ph.d phil pkt pl pol pr
    prof pst ref rep res resp s.a s.d s.k s.u sek sep sept sgt sign sj sml sms sog spm sr st stk
    str stud såk t.d t.eks t.ex t.h t.o.m t.v tel teol tidl tilsv tlf u.a u.a.m u.k u.s ult ung
    usw utg v.a v.h.a v.s vedr vg vgl vha vol vs z.b zb zzgl
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_TEXT.split())
# A number before these is an ordinal, "17. mai", "2. utgave", "3. april".
_ORDINAL_TEXT = """
    januar februar mars april mai juni juli august september oktober november desember januari
    februari marts maj augusti december oktober januar märz dezember mai etasje utgave utgåve plass
    klasse divisjon verdenskrig verdskrig ledd divisjon søndag juledag påskedag pinsedag århundre
    omgang runde kvartal trinn gang mann år ođđajagimánu guovvamánu njukčamánu cuoŋománu
    miessemánu geassemánu suoidnemánu borgemánu čakčamánu golggotmánu skábmamánu juovlamánu
"""
_AFTER_ORDINAL = frozenset(_ORDINAL_TEXT.split())
_CANDIDATE = re.compile(
    r"([.!?…]+)([\"'”’»)\]]*)[ \t]+(?=([\"'“”«‹(\[–—-]*[ ]?)([^\W_]|[§#]))", re.UNICODE
)
_WORD_BEFORE = re.compile(r"([^\s(\[\"“”«»'–—/]*)\Z")
_REACH = 24


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences of a text as (start, end) in characters, without surrounding space."""
    spans: list[tuple[int, int]] = []
    position = 0
    for line in text.split("\n"):
        end = position + len(line)
        if line.strip():
            _split_line(text, position, end, spans)
        position = end + 1
    return spans


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [text[start:end] for start, end in sentence_spans(text)]


def _split_line(text: str, start: int, stop: int, spans: list[tuple[int, int]]) -> None:
    for match in _CANDIDATE.finditer(text, start, stop):
        if _ends_sentence(text, match, start):
            _add(text, start, match.end(2), spans)
            start = match.end()
    _add(text, start, stop, spans)


def _add(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        spans.append((start, end))


def _ends_sentence(text: str, match: re.Match[str], start: int) -> bool:
    mark, closing, opening, following = match.groups()
    if mark != ".":
        # "Hva?" spurte hun: speech goes on where a small letter follows.
        return not following.islower()
    before = text[max(start, match.start() - _REACH) : match.start()]
    found = _WORD_BEFORE.search(before)
    word = found.group(1) if found else ""
    lower = word.lower()
    if following.islower():
        return False
    if lower in _ABBREVIATIONS and not closing:
        # "osv.", "etc." and "m.m." often end a sentence; a capital then begins the next.
        return lower in ("osv", "etc", "mv", "m.m", "m.v", "m.fl", "o.l", "usw", "o.s.v", "osb")
    if word.isdigit() and not closing:
        rest = text[match.end(3) : match.end(3) + _REACH].split(None, 1)
        next_word = rest[0].strip(".,;:!?").lower() if rest else ""
        if next_word in _AFTER_ORDINAL:
            return False
        # "1. Kongen ..." and "§ 1. Kongen ..." number a clause; other numbers end sentences.
        ahead = before[: len(before) - len(word)].rstrip()
        if ahead.endswith("§"):
            return False
        return len(word) > 2 or match.start() - len(word) > start
    # An initial: "A. Hansen", "H. C. Andersen".
    return not (len(word) == 1 and word.isalpha() and word.isupper() and not opening)

"""A small vocabulary in the form of DeepSeek's tokenizer.json: byte-level BPE behind its three splits.

Merges are learned from the start of a word only: what often follows a space, or begins with a capital letter, becomes
one token, and so do the words of the markup; everything else stays in letters and digits.  So sentences are short, and a word in quotes, a number or a
rare name is spelled: the model can see its letters.
"""
import collections
import json
import re

SPECIAL = ["<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>", "<｜Assistant｜>", "<|EOT|>", "<think>",
           "</think>", "｜DSML｜", "<｜latest_reminder｜>", "<｜action｜>", "<｜query｜>", "<｜authority｜>", "<｜domain｜>",
           "<｜title｜>", "<｜extracted_url｜>", "<｜read_url｜>"]
FIRST = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"]
PLAIN = {"<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "｜DSML｜"}

SPLITS = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
          r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^""" + "\r\n" + r"""\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"""
          r""" ?[\p{P}\p{S}]+[""" + "\r\n" + r"""]*|\s*[""" + "\r\n" + r"""]+|\s+(?!\S)|\s+"""]

# The same for Python's re, which knows no \p: right for text whose letters, digits and marks are those of Latin-1,
# and the generator writes no other.
_LETTER, _MARK = r"[^\W\d_]", r"(?:[^\w\s]|_)"
_WORD = re.compile(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
                   rf"|(?:\s(?<![\r\n])|\d)?{_LETTER}+| ?{_MARK}+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
_NUMBER = re.compile(r"(\d{1,3})")
_ADDED = re.compile("(" + "|".join(re.escape(t) for t in sorted(FIRST + SPECIAL, key=len, reverse=True)) + ")")


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


BYTES = byte_alphabet()
UNBYTES = {c: b for b, c in BYTES.items()}


def pieces(text):
    """Words of plain text, in the byte alphabet."""
    for part in _NUMBER.split(text):
        words = [part] if part.isdigit() else _WORD.findall(part)
        for word in words:
            yield "".join(BYTES[b] for b in word.encode())


def merge(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


# words of the markup and of schemas: they stand in quotes, too, but are read and written all the time
MARKUP = set("""tool invoke parameter true false name description parameters type object properties string integer
required city item get temperature condition result price time multiply tools""".split())


def begins_word(symbol):
    """A space, a capital letter, a line break or punctuation; not a quote: what it holds is spelled."""
    return symbol[0] == BYTES[32] or symbol[0].isupper() or symbol[0] in BYTES[10] + "<{|:>.,=}_/#"


def learn_merges(texts, n):
    """The n most frequent pairs at the start of words, one after the other."""
    counts = collections.Counter(p for text in texts for plain in _ADDED.split(text)[::2] for p in pieces(plain))
    words = [(list(word), count) for word, count in counts.items() if begins_word(word) or word in MARKUP]
    merges = []
    while len(merges) < n:
        pairs = collections.Counter()
        for symbols, count in words:
            if len(symbols) > 1:
                pairs[symbols[0], symbols[1]] += count
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        words = [(merge(s, best) if best[0] in s else s, c) for s, c in words]
    return merges


def document(merges):
    """The content of tokenizer.json."""
    alphabet = [BYTES[b] for b in range(256)]
    vocab = {t: i for i, t in enumerate(FIRST + alphabet + [a + b for a, b in merges])}
    added = [(t, i) for i, t in enumerate(FIRST)] + [(t, len(vocab) + i) for i, t in enumerate(SPECIAL)]
    split = [dict(type="Split", pattern=dict(Regex=r), behavior="Isolated", invert=False) for r in SPLITS]
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)
    return dict(
        version="1.0", truncation=None, padding=None,
        added_tokens=[dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False,
                           special=t not in PLAIN) for t, i in added],
        normalizer=dict(type="Sequence", normalizers=[]),
        pre_tokenizer=dict(type="Sequence", pretokenizers=[*split, level]),
        post_processor=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=False, use_regex=True),
        decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                   fuse_unk=False, byte_fallback=False, vocab=vocab, merges=[f"{a} {b}" for a, b in merges]))


class Tokenizer:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            spec = json.load(f)
        self.ids = dict(spec["model"]["vocab"])
        self.ranks = {tuple(m.split(" ")): i for i, m in enumerate(spec["model"]["merges"])}
        self.added = {t["content"]: t["id"] for t in spec["added_tokens"]}
        self.texts = {i: t for t, i in {**self.ids, **self.added}.items()}
        self.n = -(-(max(self.texts) + 1) // 32) * 32
        self.cache = {}

    def _piece(self, word):
        if word not in self.cache:
            symbols = list(word)
            while len(symbols) > 1:
                pair = min(zip(symbols, symbols[1:]), key=lambda p: self.ranks.get(p, 1 << 30))
                if pair not in self.ranks:
                    break
                symbols = merge(symbols, pair)
            self.cache[word] = [self.ids[s] for s in symbols]
        return self.cache[word]

    def encode(self, text):
        out = []
        for i, part in enumerate(_ADDED.split(text)):
            if i % 2:
                out.append(self.added[part])
            else:
                for word in pieces(part):
                    out.extend(self._piece(word))
        return out

    def decode(self, ids):
        data = b"".join(self.texts[i].encode() if self.texts[i] in self.added else
                        bytes(UNBYTES[c] for c in self.texts[i]) for i in ids if i in self.texts)
        return data.decode(errors="replace")

#!/usr/bin/env python3
"""Write model/src/unicode_table.c from the Unicode Character Database.

    tools/unicode/generate.py /usr/share/unicode > model/src/unicode_table.c

The folder needs UnicodeData.txt (general categories) and PropList.txt
(White_Space).  The version is pinned here, so that the same source gives the
same table everywhere; a new version is a decision that changes tokens.
"""
import pathlib
import sys

VERSION = "15.0.0"
N_CODE_POINTS = 0x110000
BLOCK = 128
LETTERS = "LMNPS"  # bit i of a class is the major category LETTERS[i]; bit 5 is White_Space
SPACE = 1 << len(LETTERS)


def major_categories(path):
    classes = bytearray(N_CODE_POINTS)
    first = None
    for line in path.read_text(encoding="utf-8").splitlines():
        code, name, category = line.split(";")[:3]
        code = int(code, 16)
        if name.endswith(", First>"):
            first = code
            continue
        start = first if name.endswith(", Last>") else code
        first = None
        if category[0] in LETTERS:
            for c in range(start, code + 1):
                classes[c] = 1 << LETTERS.index(category[0])
    return classes


def add_white_space(classes, path):
    text = path.read_text(encoding="utf-8")
    if not text.startswith(f"# PropList-{VERSION}.txt"):
        sys.exit(f"{path}: not Unicode {VERSION}")
    for line in text.splitlines():
        fields = line.split("#")[0].split(";")
        if len(fields) == 2 and fields[1].strip() == "White_Space":
            ends = [int(x, 16) for x in fields[0].strip().split("..")]
            for c in range(ends[0], ends[-1] + 1):
                classes[c] |= SPACE


def print_bytes(values, per_line=24):
    for i in range(0, len(values), per_line):
        print("    " + ", ".join(str(v) for v in values[i:i + per_line]) + ",")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    classes = major_categories(folder / "UnicodeData.txt")
    add_white_space(classes, folder / "PropList.txt")

    blocks, index = {}, []
    for start in range(0, N_CODE_POINTS, BLOCK):
        index.append(blocks.setdefault(bytes(classes[start:start + BLOCK]), len(blocks)))
    if len(blocks) > 256:
        sys.exit("more than 256 different blocks: the index needs a wider type")

    print(f"/*\n * Character classes of Unicode {VERSION}, written by tools/unicode/generate.py: do not edit.\n"
          " * Two stages: code point / 128 picks a block of 128 classes (enum ggl_char_class).\n */")
    print('#include "model/src/unicode.h"\n')
    print("// clang-format off")
    print(f"const uint8_t ggl_unicode_block[{len(index)}] = {{")
    print_bytes(index)
    print(f"}};\n\nconst uint8_t ggl_unicode_class[{len(blocks)}][{BLOCK}] = {{")
    for block in blocks:
        print("{")
        print_bytes(block, 32)
        print("},")
    print("};\n// clang-format on")


main()

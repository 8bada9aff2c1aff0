"""CSV and JSON Lines that are not what their readers hope for."""

import json
from collections.abc import Iterable
from typing import Any

from tests.hostile.case import Case, Write, dataset

GOOD = [{"text": f"a film {place}", "label": place % 2} for place in range(20)]


def lines(*records: Any, before: str = "") -> bytes:
    """Return good rows and then others, given as JSON or as they stand."""
    written = [record if isinstance(record, str) else json.dumps(record) for record in (*GOOD, *records)]
    return (before + "\n".join(written) + "\n").encode("utf-8", "surrogatepass")


def csv(header: str, *rows: str) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def wide(columns: int) -> Write:
    names = ",".join(f"c{place}" for place in range(columns))
    return lambda path: path.write_text("\n".join([names, *[",".join("1" * columns)] * 3]))


def many(pieces: Iterable[str]) -> Write:
    return lambda path: path.write_text("".join(pieces))


NOT_JSON = "Line 21 is not valid JSON"
HALF = "Line 21 holds half a character"
NUMBERS = [f"{place},{place % 2}" for place in range(20)]
CASES: list[Case] = [
    dataset("JSON Lines: 100,000 deep", lines("[" * 100_000 + "]" * 100_000), NOT_JSON, "text"),
    dataset("JSON Lines: objects 100,000 deep", lines('{"text":' * 100_000), NOT_JSON, "text"),
    dataset("JSON Lines: 900 deep", lines('{"text": ' + "[" * 900 + "]" * 900 + "}"),
        "holds list where a text is expected", "text"),
    dataset("JSON Lines: a number of 5,000 digits", lines('{"text": "a", "label": ' + "9" * 5000 + "}"), NOT_JSON,
        "text"),
    dataset("JSON Lines: a label of 4,000 digits", lines('{"text": "a", "label": ' + "9" * 4000 + "}"),
        "line 21 a label of more than 18 digits", "text"),
    dataset("JSON Lines: a feature of 4,000 digits", lines('{"a": ' + "9" * 4000 + "}"),
        "line 21 a number beyond what float32", "table"),
    dataset("JSON Lines: a label of 10^400", lines('{"text": "a", "label": 1e400}'), "line 21 the label inf", "text"),
    dataset("JSON Lines: a label of -1e400", lines('{"text": "a", "label": -1e400}'), "line 21 the label -inf",
        "text"),
    dataset("JSON Lines: NaN for a text", lines('{"text": NaN}'), "holds float where a text is expected", "text"),
    dataset("JSON Lines: NaN for a label", lines('{"text": "a", "label": NaN}'), "", "text"),
    dataset("JSON Lines: a label that is an object", lines({"text": "a", "label": {"a": [1] * 1000}}),
        "line 21 a dict, and labels are", "text"),
    dataset("JSON Lines: a key twice", lines('{"text": "a", "text": "b"}'), "'text' twice", "text"),
    dataset("JSON Lines: half a character in a text", lines('{"text": "\\ud800"}'), HALF, "text"),
    dataset("JSON Lines: half a character in a label", lines('{"text": "a", "label": "\\ud800"}'), HALF, "text"),
    dataset("JSON Lines: half a character in a name", lines('{"text": "a", "\\udfff": "b"}'), HALF, "text"),
    dataset("JSON Lines: half a character in a feature", lines('{"a": "\\ud800", "label": 1}'), HALF, "table"),
    dataset("JSON Lines: half a character in a word", lines('{"tokens": ["\\ud800"]}'), HALF, "tagged_words"),
    dataset("JSON Lines: half a character as bytes", lines("{\"text\": \"\ud800\"}"), "Line 21 is not UTF-8", "text"),
    dataset("JSON Lines: NUL", lines({"text": "a\0b"}), "", "text"),
    dataset("JSON Lines: a list in it", lines([1, 2]), "Line 21 is not a JSON object", "text"),
    dataset("JSON Lines: cut short", lines('{"text": "a'), NOT_JSON, "text"),
    dataset("JSON Lines: a JSON array", b"[" + lines(), "looks like a JSON array", "text"),
    dataset("JSON Lines: a text of 200,000 characters", lines({"text": "a" * 200_000}), "200,000 characters", "text"),
    dataset("JSON Lines: a line of 17 MB", many(['{"text": "', *["a" * 10**6] * 17, '"}']),
        "longer than 16,777,216 bytes", "text"),
    dataset("JSON Lines: a column in each of 20,000 rows", many(f'{{"c{place}": 1}}\n' for place in range(20_000)),
            "more than 10,000 columns", "table"),
    dataset("JSON Lines: words that are numbers", b'{"tokens": ["a", 1]}', "holds int and not a string as word 2",
        "tagged_words"),
    dataset("JSON Lines: tags too few", json.dumps({"tokens": ["a", "b"], "tags": [1]}).encode(),
        "has 1 tags for 2 words", "tagged_words"),
    dataset("JSON Lines: tags 500 deep", ('{"tokens": ["a"], "tags": ' + "[" * 500 + "]" * 500 + "}").encode(),
        "holds list where the tag", "tagged_words"),
    dataset("JSON Lines: a part of 1 MB", lines({"text": "a", "split": "x" * 10**6}),
        "line 1 the part 'None'|line 21 the part", "text"),
    dataset("JSON Lines: classes of 1 MB each",
        lines(*({"text": "a", "label": str(place) * 10**6} for place in range(3))),
        "line 21 a label of 1,000,000 characters", "text"),
    dataset("CSV: NUL", b"a,label\n" + b"\0,1\n" * 20, "unknown or damaged binary", "table"),
    dataset("CSV: a quote that is not closed", csv("a,label", '"1,2') + b"3,4\n" * 100_000, "not valid CSV", "table"),
    dataset("CSV: a field of 1 MB", csv("a,label", "x" * 10**6 + ",1"), "not valid CSV|characters", "table"),
    dataset("CSV: 100,000 columns", wide(100_000), "more than 10,000 columns", "table"),
    dataset("CSV: ragged", csv("a,label", *NUMBERS, "1,2,3"), "Line 22 has 3 cells", "table"),
    dataset("CSV: a name twice", csv("a,a,label", "1,2,0"), "'a' twice", "table"),
    dataset("CSV: names of nothing", csv(",,", "1,2,0"), "one of them has no name", "table"),
    dataset("CSV: a name of 100 kB", csv("a" * 100_000 + ",label", *NUMBERS), "a name of 100,000 characters",
        "table"),
    dataset("CSV: UTF-16", "a,label\n1,2\n".encode("utf-16"), "UTF-16 text, where UTF-8 is read", "table"),
    dataset("CSV: UTF-16 without a mark", "a,label\n1,2\n".encode("utf-16-le"), "unknown or damaged binary", "table"),
    dataset("CSV: a byte order mark", b"\xef\xbb\xbf" + csv("a,label", *NUMBERS), "", "table"),
    dataset("CSV: Latin-1", csv("a,label") + "é,1\n".encode("latin-1"), "Line 2 is not UTF-8", "table"),
    dataset("CSV: overlong UTF-8", csv("a,label") + b"\xc0\xaf,1\n", "Line 2 is not UTF-8", "table"),
    dataset("CSV: formulas", csv("a,label", *['=cmd|" /C calc"!A0,1'] * 20), "", "table"),
    dataset("CSV: infinite", csv("a,label", *NUMBERS, "inf,1"), "beyond what float32 holds", "table"),
    dataset("CSV: 1e999", csv("a,label", *NUMBERS, "1e999,1"), "beyond what float32 holds", "table"),
    dataset("CSV: a number of 100,000 digits", csv("a,label", *NUMBERS, "9" * 100_000 + ",1"),
        "beyond what float32 holds", "table"),
    dataset("CSV: a label of 18 digits", csv("a,label", *NUMBERS, "1,999999999999999999"), "1,000,000 classes",
        "table"),
    dataset("CSV: 100,000 categories", many(["a,label\n", *(f"x{place},1\n" for place in range(100_000))]),
        "up to 100 become inputs", "table"),
    dataset("CSV: headers alone", csv("a,label"), "no rows", "table"),
    dataset("CSV: nothing but lines", b"\n" * 10_000, "name", "table"),
    dataset("texts: a PDF", b"%PDF-1.7\n" + bytes(100), "a PDF document", "text"),
    dataset("texts: HTML", b"<!doctype html><script>alert(1)</script>", "markup text", "text"),
    dataset("texts: nothing", b"", "an empty file", "text"),
]  # fmt: skip

"""Families of the topic strings: cutting, joining, padding and rewriting one or two short words."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import word
from affine_trainer.envs.programs.vocabulary import ALPHABET, LETTERS, MARKS, TWISTS, WORD_FORMS, quoted

family = partial(Family, topic="strings")

PARTS = {
    "s": "the letters of s",
    "s[::-1]": "the letters of s from last to first",
    "s[1:]": "all letters of s but the first",
    "s[:-1]": "all letters of s but the last",
    "s[1::2]": "every second letter of s, from the second,",
}
LETTER_PAIRS = {
    first + second: f"'{first}' and '{second}'" for first in "aeiou" for second in "bcdghklmnprstw"
} | {"aeiou": "'a', 'e', 'i', 'o' and 'u'"}

STRINGS = (
    family(
        name="replace_letter",
        reads="a word s",
        program="""
            s = input()
            print(s.replace("$c", "$d")$post)
        """,
        descriptions=(
            "replace every $c in s by $d and print the word$post",
            "write $d instead of $c everywhere in s and print it$post",
            "change each letter $c of s to $d, then print s$post",
        ),
        parameters={"c": LETTERS, "d": LETTERS, "post": TWISTS},
        where=lambda chosen: chosen["c"] != chosen["d"],
        inputs=(word("c"),),
        edges=("$c$c", "$d$c", "$d"),
        difficulty=0.15,
    ),
    family(
        name="join_letters",
        reads="a word s",
        program="""
            s = input()
            print("$m".join($part))
        """,
        descriptions=(
            "print $part with $m between them",
            "join $part by $m and print the result",
            "take $part, put $m between neighbours and print that",
        ),
        parameters={"m": MARKS, "part": PARTS},
        inputs=(word(),),
        edges=("a", "ab"),
        difficulty=0.2,
    ),
    family(
        name="rotate_word",
        reads="a word s",
        program="""
            s = input()
            s = s[$k:] + "$m" + s[:$k]
            print(s$post)
        """,
        descriptions=(
            "put s without its first $k letters, $m and those letters together and print it$post",
            "move the first $k letters of s behind its end, with $m in between, and print it$post",
            "cut s after $k letters and print the second part, $m and the first part$post",
        ),
        parameters={"k": range(2, 5), "m": MARKS, "post": WORD_FORMS},
        inputs=(word(),),
        edges=("a", "abc"),
        difficulty=0.25,
    ),
    family(
        name="swap_both_ends",
        reads="a word s",
        program="""
            s = input()
            print(s[-$j:] + "$m" + s[:$i])
        """,
        descriptions=(
            "print the last $j letters of s, then $m, then the first $i letters",
            "take the first $i and last $j letters of s and print them swapped, with $m between",
            "print $m between the closing $j and the opening $i letters of s",
        ),
        parameters={"i": range(2, 5), "m": MARKS, "j": range(2, 5)},
        inputs=(word(),),
        edges=("a", "ab", "abc"),
        difficulty=0.25,
    ),
    family(
        name="pad_word",
        reads="a word s",
        program="""
            s = input()
            s = s$part
            print(s.$side($w, "$m"))
        """,
        descriptions=(
            "write s $part, fill it $side with $m up to a length of $w and print it",
            "print s $part, made $w characters long with $m $side",
            "write s $part, add $m $side until it has $w characters, and print it",
        ),
        parameters={
            "part": {"[::-1]": "backwards", " * 2": "twice"},
            "side": {"rjust": "on the left", "ljust": "on the right"},
            "w": range(8, 14),
            "m": MARKS,
        },
        inputs=(word(),),
        edges=("a", "ab", "strawberries"),
        difficulty=0.2,
    ),
    family(
        name="letter_points",
        reads="a word s",
        program="""
            s = input()
            print(len(s) * $k + s.count("$c") * $p)
        """,
        descriptions=(
            "print $k times the length of s plus $p for every $c in it",
            "score $k for each letter of s and $p more for each $c, and print the score",
            "print the points of s: $k a letter, and $p extra for every $c",
        ),
        parameters={"k": range(2, 6), "c": LETTERS, "p": range(3, 8)},
        inputs=(word("c"),),
        edges=("$c", "$c$c$c", "zoo"),
        difficulty=0.3,
    ),
    family(
        name="remove_letters",
        reads="a word s",
        program="""
            s = input()
            r = ""
            for c in s:
                if c not in "$v":
                    r += c
            print(len(s) - len(r), r$post)
        """,
        descriptions=(
            "remove every $v from s; print how many letters went and what is left$post",
            "print the number of letters $v in s, then s without them$post",
            "count and leave out the letters $v in s; print the count and the other letters$post",
        ),
        parameters={"v": LETTER_PAIRS, "post": WORD_FORMS},
        inputs=(word("v"),),
        edges=("sky", "$v", "x$v"),
        difficulty=0.3,
    ),
    family(
        name="repeat_letter",
        reads="a word s",
        program="""
            s = input()
            r = ""
            for c in s:
                if c == "$c":
                    r += c * $k
                else:
                    r += c
            print(r$post)
        """,
        descriptions=(
            "write every $c of s $k times and print the word$post",
            "repeat each $c in s $k times, keep the other letters, and print the word$post",
            "write $k letters $c for each $c of s and print the result$post",
        ),
        parameters={"c": LETTERS, "k": range(2, 5), "post": TWISTS},
        inputs=(word("c"),),
        edges=("$c", "zoo", "a${c}b"),
        difficulty=0.35,
    ),
    family(
        name="shift_letters",
        reads="a word s",
        program="""
            s = input()
            r = ""
            for c in s:
                r += chr((ord(c) - 97 + $k) % 26 + 97)
            print(r$post)
        """,
        descriptions=(
            "move each letter of s $k places on in the alphabet, from z back to a, and print the word$post",
            "shift every letter of s by $k with wrap-around and print the result$post",
            "encode s with a Caesar shift of $k and print the code$post",
        ),
        parameters={
            "k": range(2, 26),
            "post": WORD_FORMS | {" * 2": " twice"},
        },
        inputs=(word(),),
        edges=("a", "z", "xyz"),
        difficulty=0.6,
    ),
    family(
        name="mark_positions",
        reads="a word s",
        program="""
            s = input()
            r = ""
            for i in range(len(s)):
                if i % $k == $q:
                    r += "$m" + s[i]
                else:
                    r += s[i]
            print(r)
        """,
        descriptions=(
            "counting places from 0, print s with $m before each place that leaves $q when divided by $k",
            "put $m before s[i] wherever i % $k is $q and print the word",
            "print s, but write $m before every place i (from 0) whose remainder by $k is $q",
        ),
        parameters={"k": range(2, 5), "q": range(4), "m": MARKS},
        where=lambda chosen: chosen["q"] < chosen["k"],
        inputs=(word(),),
        edges=("a", "abcd"),
        difficulty=0.45,
    ),
    family(
        name="capitals_by_order",
        reads="a word s",
        program="""
            s = input()
            r = ""
            for c in s:
                if c $op "$c":
                    r += c.upper()
                else:
                    r += c
            print(r$post)
        """,
        descriptions=(
            "make capitals of the letters of s that come $op $c and print the word$post",
            "make every letter of s that is $op $c a capital and print the word$post",
            "write the letters of s $op $c in the alphabet as capitals and print s$post",
        ),
        parameters={
            "op": {">": "after", "<": "before", ">=": "at or after", "<=": "at or before"},
            "c": quoted(ALPHABET[3:23]),
            "post": TWISTS,
        },
        inputs=(word("c"),),
        edges=(ALPHABET, "$c", "az"),
        difficulty=0.4,
    ),
    family(
        name="swap_heads",
        reads="two words s and t on two lines",
        program="""
            s = input()
            t = input()
            print(t[:$i] + s[$i:] + "$m" + s[:$i] + t[$i:])
        """,
        descriptions=(
            "swap the first $i letters of s and t and print the new words with $m between them",
            "exchange the heads of $i letters of both words, then print them joined by $m",
            "print s and t, joined by $m, after they traded their first $i letters",
        ),
        parameters={"i": range(2, 5), "m": MARKS},
        inputs=(word(), word()),
        edges=("a\nb", "abc\nxyz"),
        difficulty=0.5,
        held_out=True,
    ),
    family(
        name="cut_at_letter",
        reads="a word s",
        program="""
            s = input()
            i = s.find("$c")
            print(s[i + 1:] + "$m" + s[:i + 1])
        """,
        descriptions=(
            "cut s behind its first $c (at its start if there is none); print the second part, $m, the first",
            "print what follows the first $c of s, then $m, then the rest; without any $c print s and $m",
            "cut s right after its first $c, swap both parts, and print them with $m between",
        ),
        parameters={"c": LETTERS, "m": MARKS},
        inputs=(word("c"),),
        edges=("$c", "a$c", "${c}b"),
        difficulty=0.55,
        held_out=True,
    ),
)

"""Families of the topic dictionaries: counting, looking up, grouping and translating."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import Draw, integers, letters, word
from affine_trainer.envs.programs.vocabulary import MARKS, quoted

family = partial(Family, topic="dictionaries")


def items_with_amounts(draw: Draw) -> str:
    """A count n and n lines of a word and an amount; few words, so that some come twice."""
    names = draw.rng.sample(["pen", "cup", "hat", "key"], 3)
    lines = [f"{draw.rng.choice(names)} {draw.integer(1, 20)}" for _ in range(draw.count(2, 4))]
    return "\n".join([str(len(lines)), *lines])


def two_words(draw: Draw) -> str:
    """Two lines of letters from a small alphabet, so that some are shared."""
    return draw.letters(3, 6, "abcdefgh") + "\n" + draw.letters(3, 6, "abcdefgh")


DICTIONARIES = (
    family(
        name="letter_prices",
        reads="a string s of the letters a, b and c",
        program="""
            s = input()
            d = {"a": $p, "b": $q, "c": $r}
            print(sum(d[c] for c in s))
        """,
        descriptions=(
            "print the total price of s when a costs $p, b costs $q and c costs $r",
            "add up $p for each a, $q for each b and $r for each c, and print the sum",
            "let a be worth $p, b $q and c $r; print what all letters of s are worth together",
        ),
        parameters={"p": range(1, 10), "q": range(2, 12), "r": range(5, 16)},
        inputs=(letters(3, 8, "abc"),),
        edges=("a", "b", "c", "abc"),
        difficulty=0.25,
    ),
    family(
        name="swap_letters",
        reads="a word s",
        program="""
            s = input()
            d = {"$a": "$b", "$b": "$a"}
            print("$m".join(d.get(c, c) for c in s))
        """,
        descriptions=(
            "swap $a and $b in s and print the letters with $m between them",
            "replace $a by $b and $b by $a in s, join the letters by $m, and print that",
            "write $b for each $a of s and $a for each $b, put $m between the letters and print the result",
        ),
        parameters={"a": quoted("aeioulnrst"), "b": quoted("aeioulnrst"), "m": MARKS},
        where=lambda chosen: chosen["a"] < chosen["b"],
        inputs=(word("a", "b"),),
        edges=("$a$b", "$b", "sky"),
        difficulty=0.3,
    ),
    family(
        name="count_with_default",
        reads="a word s",
        program="""
            s = input()
            d = {}
            for c in s:
                d[c] = d.get(c, $p) $op $k
            print(*d.values())
        """,
        descriptions=(
            "give each different letter of s $p and $op $k at each time it occurs; print the values in order",
            "each letter starts at $p; at each occurrence $op $k; print the values by first occurrence",
            "start every different letter at $p, $op $k each time it occurs, and print the values in order",
        ),
        parameters={"p": range(1, 21), "op": {"+": "add", "-": "subtract"}, "k": range(2, 7)},
        inputs=(letters(4, 8, "abcd"),),
        edges=("a", "aa", "abca"),
        difficulty=0.4,
    ),
    family(
        name="frequent_letters",
        reads="a word s",
        program="""
            s = input()
            d = {}
            for c in s:
                d[c] = d.get(c, 0) + 1
            print("$m".join(c for c in d if d[c] $cmp $k))
        """,
        descriptions=(
            "print the different letters that occur $cmp $k times in s, in order, with $m between them",
            "join by $m the letters of s that are there $cmp $k times, each once, and print them",
            "count the letters of s and print those counted $cmp $k times, in order, joined by $m",
        ),
        parameters={
            "cmp": {">=": "at least", "<=": "at most", "==": "exactly", "!=": "other than"},
            "k": range(2, 4),
            "m": MARKS,
        },
        inputs=(letters(5, 9, "abcde"),),
        edges=("a", "aabbccdddeee", "abcabca"),
        difficulty=0.55,
    ),
    family(
        name="most_common_number",
        reads="a line of integers",
        program="""
            a = list(map(int, input().split()))
            d = {}
            for x in a:
                d[x] = d.get(x, 0) + 1
            x = max(d, key=d.get)
            print(x * $p + d[x] * $q)
        """,
        descriptions=(
            "find the most common number (the first such) and print $p times it plus $q times its count",
            "print $p x + $q c, where x is the first number of the highest count c",
            "count the numbers; for the first most common x print $p x plus $q times its count",
        ),
        parameters={"p": range(2, 14), "q": range(2, 16)},
        inputs=(lambda draw: " ".join(map(str, draw.rng.choices(draw.integers(3, 4, 0, 30), k=5))),),
        edges=("4", "1 2 2", "5 3 3 5"),
        difficulty=0.6,
    ),
    family(
        name="count_remainders",
        reads="a line of integers",
        program="""
            d = {}
            for x in input().split():
                r = (int(x) * $p + $q) % $k
                d[r] = d.get(r, 0) + 1
            print(*[d.get(r, 0) for r in range($k)])
        """,
        descriptions=(
            "count the remainders by $k of $p x + $q over all numbers x and print the counts from 0 on",
            "change each x to $p x + $q and print how many of these have remainder 0, 1 and so on by $k",
            "print for each r from 0 below $k the number of x with ($p x + $q) % $k equal to r",
        ),
        parameters={"p": range(2, 8), "q": range(1, 8), "k": range(4, 9)},
        where=lambda chosen: chosen["p"] < chosen["k"] and chosen["q"] < chosen["k"],
        inputs=(integers(3, 7, 0, 40),),
        edges=("0", "1 1", "0 1 2 3"),
        difficulty=0.5,
    ),
    family(
        name="stock_of_item",
        reads="a number n and then n lines, each with an item and an amount",
        program="""
            d = {"$item": $k}
            for _ in range(int(input())):
                s, x = input().split()
                d[s] = d.get(s, $p) $op int(x)
            print(d["$item"], max(d.values()))
        """,
        descriptions=(
            "stock $k of $item, $p of others; $op the amounts; print the $item stock and the largest stock",
            "let $item start at $k, others at $p; $op each amount; print the $item value and the largest",
            "from $k for $item and $p for the others $op the amounts; print the $item value and the top one",
        ),
        parameters={
            "item": ("pen", "cup", "hat", "key"),
            "k": range(10, 41, 5),
            "p": (0, 10, 20, 30),
            "op": {"+": "add", "-": "subtract"},
        },
        inputs=(items_with_amounts,),
        edges=("1\n$item 5", "2\npen 1\ncup 9"),
        difficulty=0.75,
    ),
    family(
        name="last_places",
        reads="a word s",
        program="""
            s = input()
            d = {}
            for i in range(len(s)):
                d[s[i]] = i * $p + $q
            print(*d.values())
        """,
        descriptions=(
            "for each different letter in order print $p times its last index (from 0) plus $q",
            "store $p i + $q for the letter at each index i, the last one wins, and print the stored values",
            "print $p times the last index plus $q for every different letter of s",
        ),
        parameters={"p": range(2, 14), "q": range(1, 16)},
        inputs=(letters(4, 7, "abcde"),),
        edges=("a", "aab", "abab"),
        difficulty=0.5,
    ),
    family(
        name="decode_digits",
        reads="a string s of digits",
        program="""
            s = input()
            d = {}
            for i in range(10):
                d[str(i)] = chr(97 + (i * $k + $p) % 26)
            print("".join(d[c] for c in s))
        """,
        descriptions=(
            "turn each digit i into letter number (i * $k + $p) % 26, a being number 0, and print them",
            "decode the digits: i becomes the letter ($k i + $p) modulo 26 places after a; print the word",
            "print for every digit i the letter that stands (i * $k + $p) % 26 places after a",
        ),
        parameters={"k": range(1, 26), "p": range(0, 10)},
        inputs=(letters(3, 6, "0123456789"),),
        edges=("0", "9", "10"),
        difficulty=0.55,
    ),
    family(
        name="repeated_letter_places",
        reads="a word s",
        program="""
            s = input()
            d = {}
            r = 0
            for c in s:
                r += d.get(c, $p)
                d[c] = d.get(c, 0) + $k
            print(r)
        """,
        descriptions=(
            "a new letter scores $p, an old one $k times its earlier occurrences; print the score",
            "print the score of s: $p for a new letter, $k per earlier occurrence for an old one",
            "add $p for each new letter and $k times its count so far for each old one, then print the sum",
        ),
        parameters={"p": range(1, 16), "k": range(2, 11)},
        inputs=(letters(4, 8, "abcd"),),
        edges=("a", "aaa", "abab"),
        difficulty=0.7,
        held_out=True,
    ),
    family(
        name="shared_letters",
        reads="two words s and t on two lines",
        program="""
            s = input()
            t = input()
            r = sorted(set(s) $op set(t))
            print(len(r) * $k, "$m".join(r))
        """,
        descriptions=(
            "print $k times the number of letters in $op, then those letters sorted and joined by $m",
            "collect the letters in $op; print $k times their count, then them in order with $m between",
            "score $k for each letter in $op; print the score and these letters in order, joined by $m",
        ),
        parameters={
            "op": {"&": "both words", "|": "either word", "-": "s but not t", "^": "exactly one word"},
            "m": MARKS,
            "k": range(2, 7),
        },
        inputs=(two_words,),
        edges=("a\na", "ab\nbc"),
        difficulty=0.5,
    ),
)

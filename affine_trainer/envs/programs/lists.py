"""Families of the topic lists: filtering, mapping, slicing and summing a line of integers."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import Draw, integer, integers
from affine_trainer.envs.programs.vocabulary import COMPARISONS, EXTREMES, OPERATORS, PLUS_MINUS


def two_lines(draw: Draw) -> str:
    """Two lines of equally many integers."""
    upper = draw.integers(2, 4, 0, 20)
    lower = [draw.integer(0, 20) for _ in upper]
    return "\n".join(" ".join(map(str, line)) for line in (upper, lower))


family = partial(Family, topic="lists", reads="a line of integers")

LISTS = (
    family(
        name="sum_of_chosen",
        program="""
            a = list(map(int, input().split()))
            print(sum(x $op $p for x in a if x $cmp $k))
        """,
        descriptions=(
            "print the sum of x $op $p over all numbers x that are $cmp $k",
            "add up x $op $p for each number x $cmp $k and print the total",
            "take the numbers $cmp $k, change each to itself $op $p, and print their sum",
        ),
        parameters={"cmp": COMPARISONS, "k": range(10, 46, 5), "op": OPERATORS, "p": range(2, 8)},
        inputs=(integers(),),
        edges=("$k", "0 $k 60", "60 60"),
        difficulty=0.2,
    ),
    family(
        name="map_numbers",
        program="""
            a = list(map(int, input().split()))
            print(*[x * $p $op $q for x in a])
        """,
        descriptions=(
            "print each number times $p $op $q",
            "multiply every number by $p and print it $op $q",
            "for each number x print $p x $op $q, all on one line",
        ),
        parameters={"p": range(2, 8), "op": PLUS_MINUS, "q": range(1, 16)},
        inputs=(integers(2, 5, 0, 20),),
        edges=("0", "1 1"),
        difficulty=0.25,
    ),
    family(
        name="choose_by_remainder",
        program="""
            a = list(map(int, input().split()))
            print(*[x // $k for x in a if x % $k $eq $r])
        """,
        descriptions=(
            "divide by $k and print the quotients of the numbers whose remainder $eq $r",
            "print x // $k for every number x whose remainder by $k $eq $r",
            "keep the numbers whose remainder by $k $eq $r and print each divided by $k, rounded down",
        ),
        parameters={
            "k": range(2, 12),
            "eq": {"==": "is", "!=": "is not", "<": "is less than"},
            "r": range(11),
        },
        where=lambda chosen: (
            int(chosen["r"]) < int(chosen["k"]) and (chosen["eq"], chosen["r"]) != ("<", "0")
        ),
        inputs=(integers(3, 6, 0, 40),),
        edges=("$r", "$k", "0 1 2 3 4 5 6"),
        difficulty=0.3,
    ),
    family(
        name="slice_with_step",
        program="""
            a = list(map(int, input().split()))
            print(*[x $op $k for x in a[$i::$j]])
        """,
        descriptions=(
            "from place $i (counted from 0) on, take each ${j} number and print it $op $k",
            "start at index $i, take each $j number from there, and print them all, each $op $k",
            "print x $op $k for each $j number x, where the first is at index $i",
        ),
        parameters={"op": OPERATORS, "k": range(2, 13), "i": range(3), "j": {"2": "second", "3": "third"}},
        inputs=(integers(4, 7, 0, 30),),
        edges=("1 2 3 4 5", "5 0 1"),
        difficulty=0.4,
    ),
    family(
        name="running_total",
        program="""
            a = list(map(int, input().split()))
            r = $k
            b = []
            for x in a:
                r $op= x
                b.append(r)
            print(*b)
        """,
        descriptions=(
            "start with $k, $op each number in turn, and print every value on the way",
            "begin at $k and $op the numbers one after another; print the value after each step",
            "print the running values when you start at $k and $op each number in turn",
        ),
        parameters={"k": range(1, 91), "op": {"+": "add", "-": "subtract"}},
        inputs=(integers(2, 5, 0, 20),),
        edges=("0", "1 1"),
        difficulty=0.35,
    ),
    family(
        name="gaps_between",
        program="""
            a = list(map(int, input().split()))
            print(*[a[i + 1] * $p - a[i] * $q for i in range(len(a) - 1)])
        """,
        descriptions=(
            "for each number but the first print $p times it minus $q times the number before it",
            "print $p y - $q x for every two neighbours x, y",
            "take each pair of neighbours and print $p times the right one minus $q times the left one",
        ),
        parameters={"p": range(2, 14), "q": range(2, 14)},
        inputs=(integers(3, 5, 0, 12),),
        edges=("0 0", "0 1", "1 0"),
        difficulty=0.4,
    ),
    family(
        name="rotate_list",
        program="""
            a = list(map(int, input().split()))
            b = a[$k:] + a[:$k]
            print(*[x $op $p for x in b])
        """,
        descriptions=(
            "move the first $k numbers to the end and print every number $op $p",
            "rotate the list to the left by $k places and print each value $op $p",
            "print the numbers from index $k on, then the first $k, each $op $p",
        ),
        parameters={"k": range(2, 5), "op": OPERATORS, "p": range(2, 21)},
        inputs=(integers(3, 5, 0, 20),),
        edges=("7", "1 2 3 4"),
        difficulty=0.35,
    ),
    family(
        name="place_of_extreme",
        program="""
            a = list(map(int, input().split()))
            x = $pick(a)
            print(x * $p + a.index(x) * $q)
        """,
        descriptions=(
            "print $p times the $pick number plus $q times its first index (from 0)",
            "find the $pick number and its first index, then print $p times it plus $q times the index",
            "take the $pick x at its first index i and print $p x + $q i",
        ),
        parameters={"pick": EXTREMES, "p": range(2, 9), "q": range(2, 14)},
        inputs=(integers(),),
        edges=("0", "5 5", "1 2 1 2"),
        difficulty=0.4,
    ),
    family(
        name="pairs_with_sum",
        program="""
            a = list(map(int, input().split()))
            r = 0
            for i in range(len(a)):
                for x in a[:i]:
                    if x + a[i] $cmp $k:
                        r += 1
            print(r, r * $p)
        """,
        descriptions=(
            "count the pairs of numbers whose sum is $cmp $k, and print the count and $p times the count",
            "print how many pairs add up to a value $cmp $k, followed by that count times $p",
            "let r be the number of pairs with a sum that is $cmp $k; print r and $p r",
        ),
        parameters={"cmp": {">": "greater than", "<": "less than"}, "k": range(20, 41), "p": range(2, 10)},
        inputs=(integers(3, 6, 0, 30),),
        edges=("$k 0", "10 10 10 10 10", "5"),
        difficulty=0.7,
    ),
    family(
        name="alternating_sum",
        program="""
            a = list(map(int, input().split()))
            r = 0
            for i in range(len(a)):
                if i % $k == $q:
                    r -= a[i]
                else:
                    r += a[i] * $p
            print(r)
        """,
        descriptions=(
            "sum up $p times each number, but subtract the number where its index by $k leaves $q (from 0)",
            "add $p a[i] for every index i, except where i % $k is $q: there subtract a[i]; print the result",
            "subtract numbers at indices i with i % $k == $q, add $p times the others, and print the total",
        ),
        parameters={"k": range(2, 5), "q": range(4), "p": range(2, 21)},
        where=lambda chosen: chosen["q"] < chosen["k"],
        inputs=(integers(3, 6, 0, 20),),
        edges=("1", "1 1 1 1", "0 9"),
        difficulty=0.5,
    ),
    family(
        name="two_lists",
        reads="two lines of equally many integers",
        program="""
            a = list(map(int, input().split()))
            b = list(map(int, input().split()))
            print(*[x * $p $op y * $q for x, y in zip(a, b)])
        """,
        descriptions=(
            "for each place print $p times the upper number $op $q times the lower one",
            "print $p x $op $q y for the numbers x, y that stand below each other",
            "multiply the first line by $p and the second by $q, and print first $op second, place by place",
        ),
        parameters={"p": range(2, 11), "op": PLUS_MINUS, "q": range(2, 11)},
        inputs=(two_lines,),
        edges=("0\n0", "1 0\n0 1"),
        difficulty=0.5,
    ),
    family(
        name="best_window",
        program="""
            a = list(map(int, input().split()))
            b = [sum(a[i:i + $k]) for i in range(len(a) + 1 - $k)]
            print($pick(b) $op $p)
        """,
        descriptions=(
            "print the $pick sum of $k neighbours, $op $p",
            "look at all runs of $k numbers in a row and print the $pick of their sums $op $p",
            "find the $pick total that $k consecutive numbers have and print it $op $p",
        ),
        parameters={"k": (2, 3, 4), "pick": EXTREMES, "op": PLUS_MINUS, "p": range(1, 16)},
        inputs=(integers(4, 6, 0, 20),),
        edges=("1 2 3 4", "0 0 0 0 9"),
        difficulty=0.6,
    ),
    family(
        name="drop_repeats",
        program="""
            a = list(map(int, input().split()))
            b = []
            for x in a:
                r = x * $p % $k
                if r not in b:
                    b.append(r)
            print(*b$post)
        """,
        descriptions=(
            "take the remainders by $k of $p times each number, drop repeated ones, print the rest $post",
            "reduce $p x modulo $k for each number x and print the distinct values $post",
            "print the distinct remainders of $p times the numbers by $k, $post",
        ),
        parameters={
            "k": range(6, 26),
            "p": range(2, 6),
            "post": {
                "[::-1]": "in reverse order of first appearance",
                "[1:]": "in order of first appearance, without the first",
                "[:-1]": "in order of first appearance, without the last",
            },
        },
        inputs=(integers(4, 7, 0, 30),),
        edges=("0 1", "$k 0 1", "1 1 2"),
        difficulty=0.55,
    ),
    family(
        name="insert_at_place",
        reads="a line of integers and, on a second line, an integer n",
        program="""
            a = list(map(int, input().split()))
            n = int(input())
            a.insert($i, n * $p)
            a.pop($j)
            print(*a)
        """,
        descriptions=(
            "insert n times $p at index $i, then remove the $j number, and print the list",
            "put $p n into the list at index $i (from 0), then drop its $j number and print the rest",
            "after $p times n came in at index $i, take out the $j number and print the others",
        ),
        parameters={"i": range(3), "p": range(2, 12), "j": {"0": "first", "-1": "last", "1": "second"}},
        where=lambda chosen: (chosen["i"], chosen["j"]) not in (("0", "0"), ("1", "1")),
        inputs=(integers(3, 5, 0, 20), integer(0, 9)),
        edges=("1 2\n3", "0 0 0\n1"),
        difficulty=0.5,
        held_out=True,
    ),
)

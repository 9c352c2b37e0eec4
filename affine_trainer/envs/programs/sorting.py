"""Families of the topic sorting: order by a key, ranks, medians and single passes of a sort."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import integer, integers, word, words
from affine_trainer.envs.programs.vocabulary import CUTS, MARKS, OPERATORS, ORDERS, PLUS_MINUS

family = partial(Family, topic="sorting", reads="a line of integers")

SORTING = (
    family(
        name="sort_and_change",
        program="""
            a = list(map(int, input().split()))
            a = sorted(a$order)
            print(*[x $op $k for x in a])
        """,
        descriptions=(
            "sort the numbers in $order order and print each $op $k",
            "print the numbers in $order order, each $op $k",
            "put the numbers into $order order and print x $op $k for each x",
        ),
        parameters={"order": ORDERS, "op": OPERATORS, "k": range(2, 31)},
        inputs=(integers(3, 5, 0, 30),),
        edges=("5", "2 1", "1 1 0"),
        difficulty=0.25,
    ),
    family(
        name="kth_in_order",
        program="""
            a = list(map(int, input().split()))
            a.sort()
            print(a[$k] * $p $op $q)
        """,
        descriptions=(
            "print $p times the $k number $op $q",
            "find the $k number, multiply it by $p and print that $op $q",
            "sort the list, take the $k number x, and print $p x $op $q",
        ),
        parameters={
            "k": {
                "1": "second smallest",
                "-2": "second largest",
                "2": "third smallest",
                "-3": "third largest",
            },
            "p": range(2, 7),
            "op": PLUS_MINUS,
            "q": range(1, 13),
        },
        inputs=(integers(3, 6, 0, 60),),
        edges=("1 2 3", "4 4 0", "9 8 7 6"),
        difficulty=0.35,
    ),
    family(
        name="sort_by_remainder",
        program="""
            a = list(map(int, input().split()))
            a.sort(key=lambda x: (x % $k, $second))
            print(*a$cut)
        """,
        descriptions=(
            "sort the numbers by their remainder by $k, equal ones $second first, and print $cut",
            "order the numbers by x % $k and then with the $second first, and print $cut",
            "put small remainders by $k first, ties $second first; print $cut",
        ),
        parameters={
            "k": range(3, 21),
            "second": {"x": "smallest", "-x": "largest"},
            "cut": CUTS,
        },
        inputs=(integers(3, 5, 0, 40),),
        edges=("$k 1 0", "2 1", "5 15 25"),
        difficulty=0.55,
    ),
    family(
        name="sort_by_distance",
        program="""
            a = list(map(int, input().split()))
            a.sort(key=lambda x: (abs(x - $k), x))
            print(*[x - $k for x in a[:$n]])
        """,
        descriptions=(
            "print x - $k for the $n numbers x closest to $k, closest first, on ties the smaller first",
            "sort by the distance from $k, then by value, and print the first $n numbers minus $k",
            "order by how far the numbers are from $k (ties by size) and print $n of them, each minus $k",
        ),
        parameters={"k": range(10, 60), "n": range(2, 5)},
        inputs=(integers(3, 6, 0, 60),),
        edges=("$k 0 60", "1 2", "60 $k"),
        difficulty=0.5,
    ),
    family(
        name="sort_words",
        reads="a line of words",
        program="""
            a = input().split()
            a.sort(key=lambda s: ($key, s))
            print("$m".join(a$cut))
        """,
        descriptions=(
            "sort the words by their $key, then by the alphabet, and print $cut, joined by $m",
            "order the words by $key and then alphabetically; print $cut with $m between them",
            "put the words in order of $key (ties by alphabet), join $cut with $m and print that",
        ),
        parameters={
            "key": {
                "len(s)": "length",
                "-len(s)": "length, longest first",
                "s[-1]": "last letter",
                "s[1]": "second letter",
                "s[::-1]": "letters read from the end",
                's.count("e")': "number of e",
                's.count("o")': "number of o",
            },
            "m": MARKS,
            "cut": CUTS,
        },
        inputs=(words(3, 4),),
        edges=("bee ant", "to no on"),
        difficulty=0.5,
    ),
    family(
        name="sorted_letters",
        reads="a word s",
        program="""
            s = input()
            a = sorted(s$order)
            print("$m".join(a$cut))
        """,
        descriptions=(
            "sort the letters of s in $order order and print $cut with $m between them",
            "put the letters of s into $order order, join $cut by $m, and print that",
            "take the letters of s in $order order and print $cut, joined by $m",
        ),
        parameters={
            "order": ORDERS,
            "m": MARKS,
            "cut": CUTS,
        },
        inputs=(word(),),
        edges=("ba", "abc", "zoo"),
        difficulty=0.4,
    ),
    family(
        name="sum_of_top",
        program="""
            a = list(map(int, input().split()))
            a.sort()
            print(sum(a[-$i:]) * $p - sum(a[:$j]) * $q)
        """,
        descriptions=(
            "print $p times the sum of the $i largest minus $q times the sum of the $j smallest numbers",
            "sort the list and print $p times its top $i in total minus $q times its lowest $j in total",
            "print $p u - $q v, where u is the total of the $i largest and v that of the $j smallest",
        ),
        parameters={"i": range(2, 4), "j": range(2, 4), "p": range(2, 9), "q": range(2, 9)},
        where=lambda chosen: int(chosen["p"]) != int(chosen["q"]) + 1,
        inputs=(integers(3, 5, 0, 30),),
        edges=("7", "0 9", "3 1 2"),
        difficulty=0.45,
    ),
    family(
        name="one_bubble_pass",
        program="""
            a = list(map(int, input().split()))
            for i in range(len(a) - 1):
                if a[i] $cmp a[i + 1]:
                    a[i], a[i + 1] = a[i + 1], a[i]
            print(*[x $op $k for x in a])
        """,
        descriptions=(
            "go once from left to right, swap neighbours where the left is $cmp, and print all $op $k",
            "do one pass of bubble sort that swaps when the left number is $cmp; print each number $op $k",
            "swap each two neighbours in turn if the first is $cmp, once through, and print the list $op $k",
        ),
        parameters={"cmp": {">": "larger", "<": "smaller"}, "op": OPERATORS, "k": range(2, 31)},
        inputs=(integers(3, 5, 0, 30),),
        edges=("1", "1 2 3", "3 2 1"),
        difficulty=0.65,
    ),
    family(
        name="ranks",
        program="""
            a = list(map(int, input().split()))
            b = sorted(a$order)
            print(*[x + b.index(x) * $p - $q for x in a])
        """,
        descriptions=(
            "for each number print it plus $p times its first place in $order order (from 0) minus $q",
            "print x + $p i - $q for each number x, i being its first index in the $order order",
            "add $p times its rank (from 0, in $order order) to each number, take $q away, and print them",
        ),
        parameters={"order": ORDERS, "p": range(2, 11), "q": range(1, 10)},
        inputs=(integers(3, 6, 0, 20),),
        edges=("5", "1 1 1", "3 1 2"),
        difficulty=0.6,
    ),
    family(
        name="insert_in_order",
        reads="a line of integers and, on a second line, an integer n",
        program="""
            a = list(map(int, input().split()))
            n = int(input())
            a.append(n * $p $op $q)
            a.sort($reverse)
            print(*a)
        """,
        descriptions=(
            "add n times $p $op $q to the numbers and print all in $reverse order",
            "append $p n $op $q to the list, sort it in $reverse order and print it",
            "print the numbers together with $p n $op $q in $reverse order",
        ),
        parameters={
            "p": range(2, 7),
            "op": PLUS_MINUS,
            "q": range(1, 12),
            "reverse": {"": "increasing", "reverse=True": "decreasing"},
        },
        inputs=(integers(2, 4, 0, 40), integer(0, 9)),
        edges=("1\n0", "5 3\n1"),
        difficulty=0.4,
    ),
    family(
        name="widest_gap",
        program="""
            a = sorted(map(int, input().split()))
            b = [a[i + 1] - a[i] for i in range(len(a) - 1)]
            print($pick(b) * $p $op $q)
        """,
        descriptions=(
            "sort the numbers and print $p times the $pick gap between neighbours $op $q",
            "find the $pick difference of neighbours in sorted order and print $p times it $op $q",
            "print $p g $op $q, where g is the $pick gap in the sorted list",
        ),
        parameters={
            "pick": {"max": "widest", "min": "narrowest"},
            "p": range(2, 8),
            "op": PLUS_MINUS,
            "q": range(1, 10),
        },
        inputs=(integers(3, 5, 0, 60),),
        edges=("1 2", "5 5 9", "9 0 4"),
        difficulty=0.55,
        held_out=True,
    ),
)

"""Families of the topic simulation: something that changes step by step under simple rules."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import integer, integers, letters
from affine_trainer.envs.programs.vocabulary import COMPARISONS

family = partial(Family, topic="simulation")

SIMULATION = (
    family(
        name="walk_on_line",
        reads="a string s of the letters L and R",
        program="""
            s = input()
            x = $k
            for c in s:
                if c == "L":
                    x -= $p
                else:
                    x += $q
            print(x)
        """,
        descriptions=(
            "start at $k, go $p back for each L and $q forward for each R, and print the end",
            "a robot stands at $k; L moves it by -$p and R by +$q; print where it stops",
            "from $k on, subtract $p for every L and add $q for every R, then print the result",
        ),
        parameters={"k": range(0, 30, 3), "p": range(1, 8), "q": range(1, 8)},
        where=lambda chosen: chosen["p"] != chosen["q"],
        inputs=(letters(3, 8, "LR"),),
        edges=("L", "R", "LLR"),
        difficulty=0.25,
    ),
    family(
        name="walk_on_grid",
        reads="a string s of the letters N, S, E and W",
        program="""
            x, y = $i, $j
            for c in input():
                if c == "N":
                    y += $p
                elif c == "S":
                    y -= $p
                elif c == "E":
                    x += $q
                else:
                    x -= $q
            print(x, y)
        """,
        descriptions=(
            "from x = $i, y = $j: N adds $p to y, S takes $p, E adds $q to x, W takes $q; print x and y",
            "a robot at ($i, $j) goes $p north or south, $q east or west a letter; print its last x and y",
            "from x = $i, y = $j walk $p up for N, down for S, and $q right for E, left for W; print x and y",
        ),
        parameters={"i": range(5), "j": range(5), "p": range(1, 6), "q": range(1, 6)},
        inputs=(letters(3, 7, "NSEW"),),
        edges=("N", "S", "E", "W"),
        difficulty=0.6,
    ),
    family(
        name="fill_a_tank",
        reads="a line of integers",
        program="""
            a = list(map(int, input().split()))
            r = $p
            for x in a:
                r = min(r + x, $k)
                r -= $q
            print(r)
        """,
        descriptions=(
            "a tank holds $p of at most $k; for each number fill in so much, then take $q; print the end",
            "start with r = $p; for each x add x but stop at $k, then subtract $q; print r",
            "add each number to a stock of $p, cap it at $k and remove $q; print the last stock",
        ),
        parameters={"p": range(0, 11), "k": range(30, 61, 3), "q": range(1, 8)},
        inputs=(integers(2, 5, 0, 25),),
        edges=("0", "60", "25 25 25"),
        difficulty=0.4,
    ),
    family(
        name="load_up_to_limit",
        reads="a line of integers",
        program="""
            a = list(map(int, input().split()))
            r = 0
            b = []
            for x in a:
                if r + x <= $k:
                    r += x
                    b.append(x $op $p)
            print(r, *b)
        """,
        descriptions=(
            "load each number if the total stays at most $k; print the total, then each loaded one $op $p",
            "take every number that fits a limit of $k; print the total, then each taken one $op $p",
            "skip numbers that lift the sum above $k; print the sum and then each of the others $op $p",
        ),
        parameters={"k": range(20, 61), "op": {"+": "plus", "*": "times"}, "p": range(2, 8)},
        inputs=(integers(3, 5, 1, 30),),
        edges=("$k", "60 1", "10 10 10"),
        difficulty=0.6,
    ),
    family(
        name="grow_for_days",
        reads="an integer n",
        program="""
            n = int(input())
            x = $p
            for i in range(n):
                x = (x * $q + $r) % $k
            print(x)
        """,
        descriptions=(
            "start with x = $p, replace x by ($q x + $r) % $k as often as n says, and print x",
            "print x after n rounds of x = (x * $q + $r) % $k from x = $p",
            "let x be $p; n times multiply it by $q, add $r and take the remainder by $k; print x",
        ),
        parameters={"p": range(1, 8), "q": range(2, 6), "r": range(1, 6), "k": (31, 37, 41, 43, 47)},
        inputs=(integer(1, 12),),
        edges=("0", "1", "2"),
        difficulty=0.35,
    ),
    family(
        name="days_to_reach",
        reads="an integer n",
        program="""
            n = int(input())
            x = $p
            r = 0
            while x < n:
                x = x $op $q
                r += 1
            print(r, x)
        """,
        descriptions=(
            "start with $p and $op $q each day until n is reached; print the days and the final value",
            "count how many times you must $op $q, from $p on, to get at least n; print count and value",
            "from x = $p, $op $q while x is below n, then print the number of steps and x",
        ),
        parameters={
            "p": range(1, 13),
            "op": {"+": "add", "*": "multiply by"},
            "q": range(2, 12),
        },
        inputs=(integer(5, 99),),
        edges=("0", "$p", "99"),
        difficulty=0.4,
    ),
    family(
        name="counting_out",
        reads="a line of integers",
        program="""
            a = list(map(int, input().split()))
            i = 0
            while len(a) > $n:
                i = (i + $k) % len(a)
                a.pop(i)
            print(*[x $op $p for x in a])
        """,
        descriptions=(
            "go $k places on in the circle (first from index 0), drop that number, to $n; print each $op $p",
            "from i = 0 repeat i = (i + $k) % length and drop number i until $n are left; print each $op $p",
            "from index 0 of the circle move $k places, drop that number, until $n remain; print all $op $p",
        ),
        parameters={"n": range(2, 4), "k": range(2, 9), "op": {"+": "plus", "*": "times"}, "p": range(2, 9)},
        inputs=(integers(4, 7, 0, 20),),
        edges=("5", "1 2", "1 2 3 4"),
        difficulty=0.75,
    ),
    family(
        name="change_in_coins",
        reads="an integer n",
        program="""
            n = int(input())
            b = []
            for x in [$p, $q, 1]:
                b.append(n // x)
                n %= x
            print(*b)
        """,
        descriptions=(
            "pay n with as many coins of $p as possible, then of $q, then of 1; print the three counts",
            "print how many coins of $p, $q and 1 make n when large coins are used first",
            "change n greedily into coins worth $p, $q and 1 and print the number of each",
        ),
        parameters={"p": range(12, 31), "q": range(2, 10)},
        inputs=(integer(1, 99),),
        edges=("0", "1", "$p"),
        difficulty=0.45,
    ),
    family(
        name="battery",
        reads="a line of integers",
        program="""
            a = list(map(int, input().split()))
            n = $k
            for i in range(len(a)):
                n -= a[i]
                if n < $p:
                    n += $q
            print(n)
        """,
        descriptions=(
            "start with a charge of $k, use each number up, add $q if less than $p is left; print the end",
            "let n be $k; subtract every number and, if n is then below $p, add $q; print n",
            "from $k take each number away, adding $q after a result below $p, and print the last one",
        ),
        parameters={"k": range(30, 61, 5), "p": range(5, 26, 5), "q": range(20, 51, 6)},
        inputs=(integers(2, 5, 0, 25),),
        edges=("0", "25 25 25", "60"),
        difficulty=0.4,
    ),
    family(
        name="score_streaks",
        reads="a line of integers",
        program="""
            a = list(map(int, input().split()))
            r = 0
            p = 1
            for x in a:
                if x $cmp $k:
                    r += p
                    p += $q
                else:
                    p = $p
            print(r, p)
        """,
        descriptions=(
            "numbers $cmp $k score p (first 1) and raise it by $q, others set p to $p; print score and p",
            "let r = 0, p = 1; for x $cmp $k add p to r and $q to p, otherwise let p be $p; print r and p",
            "with a bonus of 1, numbers $cmp $k score it and add $q to it, others make it $p; print both",
        ),
        parameters={"cmp": COMPARISONS, "k": range(10, 21), "q": range(1, 6), "p": range(0, 4)},
        inputs=(integers(3, 7, 0, 30),),
        edges=("$k", "0 0", "30 30 30"),
        difficulty=0.7,
    ),
    family(
        name="bouncing_ball",
        reads="an integer n",
        program="""
            n = int(input())
            x, p = $i, $p
            for i in range(n):
                if x + p < 0 or x + p > $k:
                    p = -p
                x += p
            print(x, p)
        """,
        descriptions=(
            "move x = $i by p = $p, n times; p changes sign first if x would leave 0 to $k; print x and p",
            "roll a ball from $i, $p a step within 0 to $k, turned before it leaves; print place and speed",
            "let x = $i, p = $p; n times negate p if x + p is not in 0..$k and add p to x; print x and p",
        ),
        parameters={"i": range(0, 5), "p": range(2, 5), "k": range(7, 20)},
        inputs=(integer(3, 40),),
        edges=("0", "1", "15"),
        difficulty=0.7,
        held_out=True,
    ),
    family(
        name="clock_hand",
        reads="a line of integers",
        program="""
            r = $p
            for x in input().split():
                r = (r + int(x) * $q) % $k
            print(r)
        """,
        descriptions=(
            "a hand on a dial of $k places stands at $p and moves $q times each number; print its end",
            "start with r = $p; for each x let r be (r + $q x) % $k; print r",
            "from $p add $q times each number on a wheel of $k places and print the place it stops at",
        ),
        parameters={"p": range(0, 10), "q": range(2, 7), "k": range(30, 61, 5)},
        inputs=(integers(2, 4, 0, 30),),
        edges=("0", "1", "$k"),
        difficulty=0.35,
    ),
)

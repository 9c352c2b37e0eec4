"""Families of the topic recursion: functions on integers, strings and lists that call themselves."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import integer, integer_near, integers, letters, word
from affine_trainer.envs.programs.vocabulary import EXTREMES, MARKS, OPERATORS, PLUS_MINUS, WORD_FORMS

family = partial(Family, topic="recursion", reads="an integer n")

RECURSION = (
    family(
        name="sum_by_steps",
        program="""
            def f(n):
                if n <= 0:
                    return $p
                return n $op f(n - $k)
            print(f(int(input())))
        """,
        descriptions=(
            "print f(n), where f(n) is $p for n <= 0 and otherwise n $op f(n - $k)",
            "let f(n) = n $op f(n - $k), and $p once n is 0 or less; print f(n)",
            "compute f(n) recursively as n $op f(n - $k), with f = $p at n <= 0, and print it",
        ),
        parameters={"p": range(0, 21), "op": PLUS_MINUS, "k": range(3, 9)},
        inputs=(integer(1, 40),),
        edges=("0", "1", "$k"),
        difficulty=0.35,
    ),
    family(
        name="two_term_recursion",
        program="""
            def f(n, a, b):
                if n <= 0:
                    return a
                return f(n - 1, b, a * $k $op b)
            print(f(int(input()), $p, $q))
        """,
        descriptions=(
            "start with a = $p and b = $q, replace a, b by b, $k a $op b as often as n says, and print a",
            "let f(0) = $p, f(1) = $q and f(n) = $k f(n - 2) $op f(n - 1); print f(n)",
            "a series starts $p, $q, and after x, y comes $k x $op y; print its number n, counted from 0",
        ),
        parameters={"p": range(0, 12), "q": range(1, 12), "k": range(2, 4), "op": PLUS_MINUS},
        where=lambda chosen: chosen["p"] != chosen["q"],
        inputs=(integer(2, 8),),
        edges=("0", "1", "2"),
        difficulty=0.4,
    ),
    family(
        name="digit_recursion",
        program="""
            def f(n):
                if n == 0:
                    return $p
                return f(n // $k) $op n % $k
            print(f(int(input())))
        """,
        descriptions=(
            "print f(n), where f(0) is $p and f(n) is f(n // $k) $op n % $k",
            "start with $p; for each base $k digit of n take the value $op the digit; print the last one",
            "let f(0) = $p, and f(n) = f(n // $k) $op the remainder of n by $k; print f(n)",
        ),
        parameters={"p": range(0, 31), "k": range(3, 11), "op": PLUS_MINUS},
        inputs=(integer(1, 99),),
        edges=("0", "$k", "99"),
        difficulty=0.45,
    ),
    family(
        name="linear_recursion",
        program="""
            def f(n):
                if n == 0:
                    return $p
                return f(n - 1) * $k $op $q
            print(f(int(input())))
        """,
        descriptions=(
            "print f(n), where f(0) is $p and f(n) is $k times f(n - 1) $op $q",
            "start with $p and n times replace the value x by $k x $op $q; print it",
            "let f(0) = $p and f(n) = $k f(n - 1) $op $q; print f(n)",
        ),
        parameters={"p": range(2, 12), "k": range(2, 4), "op": PLUS_MINUS, "q": range(1, 6)},
        where=lambda chosen: int(chosen["p"]) * (int(chosen["k"]) - 1) != int(chosen["q"]),
        inputs=(integer(0, 8),),
        edges=("0", "1", "2"),
        difficulty=0.35,
    ),
    family(
        name="reverse_blocks",
        reads="a word s",
        program="""
            def f(s):
                if len(s) < $k:
                    return s
                return f(s[$k:]) + "$m" + s[:$k]
            print(f(input())$post)
        """,
        descriptions=(
            "print f(s)$post: f(s) is s if shorter than $k, else f(s[$k:]), $m and s[:$k]",
            "let f(s) be s if it has less than $k letters, else f(s[$k:]) + $m + s[:$k]; print f(s)$post",
            "move each $k letters from the start of s behind the rest and $m, recursively; print it$post",
        ),
        parameters={"k": range(2, 5), "m": MARKS, "post": WORD_FORMS},
        inputs=(word(),),
        edges=("a", "ab", "abcd"),
        difficulty=0.5,
    ),
    family(
        name="fold_list",
        reads="a line of integers",
        program="""
            def f(a):
                if a == []:
                    return $p
                return a[0] * $q $op f(a[1:])
            print(f(list(map(int, input().split()))))
        """,
        descriptions=(
            "print f of the list: $p if empty, else $q times the first number $op f of the rest",
            "fold from the right: start with $p and take $q times each number $op the value; print the end",
            "let f(a) be $q a[0] $op f(a[1:]), and $p when a is empty; print f of the numbers",
        ),
        parameters={"p": range(0, 21), "q": range(2, 6), "op": PLUS_MINUS},
        inputs=(integers(2, 4, 0, 20),),
        edges=("0", "1", "1 1"),
        difficulty=0.45,
    ),
    family(
        name="subtract_larger",
        reads="two integers a and b on one line",
        program="""
            def f(a, b):
                if a < $p or b < $p:
                    return a $op b
                if a > b:
                    return f(a - b, b)
                return f(a, b - a)
            a, b = map(int, input().split())
            print(f(a, b) + $q)
        """,
        descriptions=(
            "subtract the smaller of a and b from the larger until one is below $p; print a $op b plus $q",
            "while both reach $p take the smaller from the larger (from b on ties); print a $op b, plus $q",
            "reduce the larger number by the smaller as long as both reach $p, then print a $op b, plus $q",
        ),
        parameters={"p": range(2, 11), "op": OPERATORS, "q": range(1, 16)},
        inputs=(integers(2, 2, 5, 40),),
        edges=("5 5", "1 9", "20 8"),
        difficulty=0.75,
    ),
    family(
        name="fast_power",
        program="""
            def f(n):
                if n <= 0:
                    return 1
                if n % 2 == 1:
                    return f(n - 1) * $p % $k
                return f(n // 2) ** 2 % $k
            print(f(int(input())))
        """,
        descriptions=(
            "print $p to the power n, modulo $k",
            "raise $p to the power n by squaring, keeping remainders by $k, and print the result",
            "print the remainder that $p ** n leaves when divided by $k",
        ),
        parameters={"p": range(2, 13), "k": range(17, 48)},
        inputs=(integer(2, 40),),
        edges=("0", "1", "2"),
        difficulty=0.55,
    ),
    family(
        name="halving_path",
        program="""
            def f(n):
                if n > $k:
                    f(n // $p $op $q)
                print(n)
            f(int(input()))
        """,
        descriptions=(
            "while n is above $k, replace n by n // $p $op $q; print all its values, the last one first",
            "print the path from n backwards, where a value x above $k leads on to x // $p $op $q",
            "let f first call f(x // $p $op $q) if its x is above $k, and then print x; call f(n)",
        ),
        parameters={"k": range(6, 16), "p": range(2, 5), "op": PLUS_MINUS, "q": range(1, 4)},
        inputs=(integer_near("k", 10, 99),),
        edges=("$k", "16", "99"),
        difficulty=0.5,
    ),
    family(
        name="best_subset",
        reads="a line of integers",
        program="""
            def f(a, n):
                if a == []:
                    return n
                return $pick(f(a[1:], n $op a[0]), f(a[1:], n * $p % $k))
            print(f(list(map(int, input().split())), $q))
        """,
        descriptions=(
            "from n = $q take n $op x or n * $p % $k for each number x; print the $pick possible end",
            "print the $pick end value of n = $q when each number x allows n $op x or n * $p % $k",
            "try both n $op x and $p n modulo $k for each number x, first n is $q; print the $pick result",
        ),
        parameters={
            "pick": EXTREMES,
            "op": PLUS_MINUS,
            "p": range(2, 4),
            "k": range(17, 27, 3),
            "q": range(1, 9),
        },
        inputs=(integers(2, 4, 1, 12),),
        edges=("1", "2 2", "5 0"),
        difficulty=0.9,
    ),
    family(
        name="halved_word",
        reads="a word s",
        program="""
            def f(s):
                if len(s) <= $k:
                    return s$end
                i = len(s) // 2
                return f(s[i:]) + "$m" + f(s[:i])
            print(f(input()))
        """,
        descriptions=(
            "halve s at length // 2, swap the parts around $m, and so on; a part up to $k $end; print it",
            "print f(s): f of the second half, $m, f of the first (length // 2); up to $k letters s $end",
            "cut parts above $k letters at length // 2 and swap them around $m; a shorter one $end; print it",
        ),
        parameters={
            "k": range(2, 5),
            "m": MARKS,
            "end": {"": "stays as it is", "[::-1]": "is reversed"},
        },
        inputs=(letters(4, 8, "abcdef"),),
        edges=("a", "ab", "abc"),
        difficulty=0.75,
        held_out=True,
    ),
)

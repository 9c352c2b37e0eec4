"""Families of the topic arithmetic: sums, products, quotients and rules on one to three integers."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import integer, integer_near, integers
from affine_trainer.envs.programs.vocabulary import EXTREMES, OPERATORS, PLUS_MINUS

family = partial(Family, topic="arithmetic")

ARITHMETIC = (
    family(
        name="multiply_and_shift",
        reads="an integer n",
        program="""
            n = int(input())
            print(n * $p $op $q)
        """,
        descriptions=(
            "print n times $p $op $q",
            "multiply n by $p and print the product $op $q",
            "compute $p times n, $op $q, and print the result",
        ),
        parameters={"p": range(2, 10), "op": PLUS_MINUS, "q": range(1, 31)},
        inputs=(integer(0, 99),),
        edges=("0", "1"),
        difficulty=0.1,
    ),
    family(
        name="weighted_pair",
        reads="two integers a and b on one line",
        program="""
            a, b = map(int, input().split())
            print(a * $p $op b * $q)
        """,
        descriptions=(
            "print $p times a $op $q times b",
            "multiply a by $p and b by $q, then print the first product $op the second",
            "compute and print $p a $op $q b",
        ),
        parameters={"p": range(2, 12), "op": PLUS_MINUS, "q": range(2, 12)},
        inputs=(integers(2, 2, 0, 40),),
        edges=("0 0", "1 0", "0 1"),
        difficulty=0.15,
    ),
    family(
        name="quotient_and_remainder",
        reads="an integer n",
        program="""
            n = int(input())
            q = n // $k
            r = n % $k
            print($out)
        """,
        descriptions=(
            "divide n by $k and print $out",
            "print $out of n divided by $k",
            "find the quotient and the remainder of n by $k, then print $out",
        ),
        parameters={
            "k": range(3, 41),
            "out": {
                "q, r": "the quotient and the remainder",
                "r, q": "the remainder and the quotient",
                "q + r": "the sum of quotient and remainder",
                "q * r": "the product of quotient and remainder",
            },
        },
        inputs=(integer(0, 99),),
        edges=("0", "$k"),
        difficulty=0.25,
    ),
    family(
        name="keep_in_range",
        reads="an integer n",
        program="""
            n = int(input())
            print(max($low, min($high, n)) $op $p)
        """,
        descriptions=(
            "limit n to the range from $low to $high and print it $op $p",
            "print n $op $p, where n counts as $low if it is less and as $high if it is more",
            "set n to $low if it is below $low and to $high if it is above $high, then print n $op $p",
        ),
        parameters={"low": range(5, 26, 5), "high": range(50, 81, 5), "op": PLUS_MINUS, "p": range(2, 13)},
        inputs=(integer(0, 99),),
        edges=("0", "99", "$low", "$high"),
        difficulty=0.2,
    ),
    family(
        name="divide_or_multiply",
        reads="an integer n",
        program="""
            n = int(input())
            if n % $k == 0:
                print(n // $k)
            else:
                print(n * $p)
        """,
        descriptions=(
            "print n divided by $k if $k divides n, otherwise n times $p",
            "if n is a multiple of $k print n // $k, else print $p times n",
            "divide n by $k when that leaves no remainder, otherwise multiply n by $p, and print the result",
        ),
        parameters={"k": range(2, 8), "p": range(2, 31)},
        inputs=(integer(0, 40),),
        edges=("0", "$k", "1"),
        difficulty=0.3,
    ),
    family(
        name="scaled_distance",
        reads="an integer n",
        program="""
            n = int(input())
            print(abs(n - $k) * $p)
        """,
        descriptions=(
            "print $p times the distance between n and $k",
            "find how far n is from $k and print that distance times $p",
            "print the absolute difference of n and $k, multiplied by $p",
        ),
        parameters={"k": range(10, 61), "p": range(2, 8)},
        inputs=(integer(0, 80),),
        edges=("0", "$k"),
        difficulty=0.2,
    ),
    family(
        name="two_sided_rule",
        reads="an integer n",
        program="""
            n = int(input())
            if n > $t:
                n -= $p
            else:
                n += $q
            print(n)
        """,
        descriptions=(
            "subtract $p from n if n is greater than $t, otherwise add $q, and print the result",
            "print n minus $p when n is above $t and n plus $q when it is not",
            "if n > $t take away $p, else add $q; then print n",
        ),
        parameters={"t": range(20, 61, 5), "p": range(2, 12), "q": range(2, 12)},
        inputs=(integer_near("t", 0, 99),),
        edges=("$t", "0", "99"),
        difficulty=0.25,
    ),
    family(
        name="pair_extreme",
        reads="two integers a and b on one line",
        program="""
            a, b = map(int, input().split())
            print($pick(a, b) * $p $op $q)
        """,
        descriptions=(
            "print the $pick of a and b times $p $op $q",
            "take the $pick of the two, multiply it by $p and print it $op $q",
            "find the $pick of a and b and print $p times it $op $q",
        ),
        parameters={"pick": EXTREMES, "p": range(2, 8), "op": PLUS_MINUS, "q": range(1, 21)},
        inputs=(integers(2, 2, 0, 60),),
        edges=("0 0", "1 9", "9 1"),
        difficulty=0.2,
    ),
    family(
        name="basic_fee",
        reads="an integer n, a number of hours",
        program="""
            n = int(input())
            r = $p
            if n > $t:
                r += (n - $t) * $q
            print(r)
        """,
        descriptions=(
            "print the price when the first $t hours cost $p together and each further hour costs $q",
            "print $p, plus $q for every hour above $t",
            "a stay costs $p up to $t hours and $q more for each hour beyond; print its price",
        ),
        parameters={"p": range(5, 31, 5), "t": range(2, 9), "q": range(2, 12)},
        inputs=(integer(1, 30),),
        edges=("$t", "1", "30"),
        difficulty=0.35,
    ),
    family(
        name="square_of_shift",
        reads="an integer n",
        program="""
            n = int(input())
            n = n $op $k
            print(n * n $then $q)
        """,
        descriptions=(
            "print the square of n $op $k, $then $q",
            "square the value n $op $k and print that $then $q",
            "let x be n $op $k; print x times x, $then $q",
        ),
        parameters={"op": OPERATORS, "k": range(2, 13), "then": PLUS_MINUS, "q": range(1, 10)},
        inputs=(integer(0, 20),),
        edges=("0", "$k"),
        difficulty=0.2,
    ),
    family(
        name="weighted_mean",
        reads="three integers a, b and c on one line",
        program="""
            a, b, c = map(int, input().split())
            print((a * $p + b * $q + c) // $d)
        """,
        descriptions=(
            "add $p times a, $q times b and c, and print the sum divided by $d, rounded down",
            "print ($p a + $q b + c) divided by $d without the remainder",
            "weigh a by $p, b by $q and c by 1, then print the total // $d",
        ),
        parameters={"p": range(2, 7), "q": range(2, 7), "d": range(2, 10)},
        inputs=(integers(3, 3, 0, 30),),
        edges=("0 0 0", "0 0 30", "1 1 1"),
        difficulty=0.45,
    ),
    family(
        name="boxes_and_bags",
        reads="an integer n, a number of apples",
        program="""
            n = int(input())
            x = n // $k
            n = n % $k
            print(x, n // $m, n % $m)
        """,
        descriptions=(
            "fill boxes of $k, then bags of $m; print the numbers of boxes, bags and single apples",
            "print how many full boxes of $k, full bags of $m from the rest, and single apples there are",
            "pack boxes of $k, then bags of $m from the rest, and print boxes, bags and what is left",
        ),
        parameters={"k": range(12, 31), "m": range(3, 8)},
        inputs=(integer(0, 120),),
        edges=("0", "$k", "$m"),
        difficulty=0.5,
        held_out=True,
    ),
)

"""Families of the topic number theory: divisors, primes, remainders, digits and bases."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import Draw, integer, integers
from affine_trainer.envs.programs.vocabulary import OPERATORS, PLUS_MINUS

family = partial(Family, topic="number theory", reads="an integer n")


def two_multiples(draw: Draw) -> str:
    """Two multiples of one small number, so that the greatest common divisor is seldom 1."""
    divisor = draw.integer(1, 12)
    return f"{divisor * draw.integer(1, 6)} {divisor * draw.integer(1, 6)}"


NUMBER_THEORY = (
    family(
        name="greatest_common_divisor",
        reads="two integers a and b on one line",
        program="""
            a, b = map(int, input().split())
            while b:
                a, b = b, a % b
            print(a * $p $op $q)
        """,
        descriptions=(
            "print $p times the greatest common divisor of a and b, $op $q",
            "find the gcd of a and b and print it times $p $op $q",
            "let g be the largest number that divides a and b; print $p g $op $q",
        ),
        parameters={"p": range(2, 14), "op": PLUS_MINUS, "q": range(1, 10)},
        inputs=(two_multiples,),
        edges=("1 1", "6 4", "5 10"),
        difficulty=0.4,
    ),
    family(
        name="print_divisors",
        program="""
            n = int(input()) $op $k
            print(*[i for i in range($i, n + 1) if n % i == 0])
        """,
        descriptions=(
            "print all divisors of n $op $k from $i on",
            "find the divisors of n $op $k that are at least $i and print them",
            "let m be n $op $k; print each number from $i to m that divides m",
        ),
        parameters={"op": PLUS_MINUS, "k": range(1, 16), "i": range(2, 6)},
        inputs=(integer(18, 40),),
        edges=("20", "24", "36"),
        difficulty=0.4,
    ),
    family(
        name="step_to_remainder",
        program="""
            n = int(input())
            x = 0
            while n % $k != $r:
                n $op= 1
                x += 1
            print(n, x)
        """,
        descriptions=(
            "$op n until its remainder by $k is $r; print n and the number of steps",
            "while n % $k is not $r, $op n by 1; then print n and how often that was done",
            "$op n one by one as long as n % $k is not $r, then print the new n and the steps",
        ),
        parameters={
            "k": range(4, 16),
            "r": range(15),
            "op": {"+": "increase", "-": "decrease"},
        },
        where=lambda chosen: int(chosen["r"]) < int(chosen["k"]),
        inputs=(integer(15, 99),),
        edges=("$r", "$k", "60"),
        difficulty=0.35,
    ),
    family(
        name="sum_of_digits",
        program="""
            n = int(input()) * $k
            print(sum(int(c) for c in str(n)) $op $p)
        """,
        descriptions=(
            "print the sum of the digits of $k times n, $op $p",
            "multiply n by $k, add up the digits of the product and print the sum $op $p",
            "let m be $k n; print its digit sum $op $p",
        ),
        parameters={"k": range(2, 30), "op": OPERATORS, "p": range(2, 10)},
        inputs=(integer(1, 99),),
        edges=("0", "1", "10"),
        difficulty=0.35,
    ),
    family(
        name="power_remainder",
        program="""
            n = int(input())
            print((n ** $e $op $p) % $k)
        """,
        descriptions=(
            "print the remainder by $k of n to the power $e $op $p",
            "raise n to the power $e, take that $op $p, and print it modulo $k",
            "compute n ** $e $op $p and print what division by $k leaves",
        ),
        parameters={"e": range(2, 4), "op": PLUS_MINUS, "p": range(1, 10), "k": range(11, 31)},
        inputs=(integer(2, 20),),
        edges=("0", "1", "$k"),
        difficulty=0.3,
    ),
    family(
        name="digits_in_base",
        program="""
            n = int(input()) $op $p
            r = ""
            while n > 0:
                r = str(n % $k) + r
                n //= $k
            print(r)
        """,
        descriptions=(
            "write n $op $p in base $k and print it",
            "print the digits of n $op $p in base $k",
            "convert n $op $p to base $k and print the result",
        ),
        parameters={"op": OPERATORS, "p": range(2, 10), "k": range(2, 10)},
        inputs=(integer(10, 60),),
        edges=("10", "25", "32"),
        difficulty=0.5,
    ),
    family(
        name="divisor_up_to",
        program="""
            n = int(input()) $op $p
            i = $k
            while n % i != 0:
                i -= 1
            print(i, n // i)
        """,
        descriptions=(
            "find the largest i up to $k that divides n $op $p; print i and the quotient",
            "let m be n $op $p; print the greatest divisor of m that is at most $k, and m divided by it",
            "count i down from $k until it divides n $op $p, then print i and the quotient",
        ),
        parameters={"op": OPERATORS, "p": range(2, 12), "k": range(5, 13)},
        inputs=(integer(6, 60),),
        edges=("$k", "12", "35"),
        difficulty=0.4,
    ),
    family(
        name="sum_of_multiples",
        program="""
            n = int(input())
            print(sum(i for i in range(n) if i % $p == 0 $op i % $q == 0) $then $s)
        """,
        descriptions=(
            "add up the numbers below n that can be divided by $p $op $q and print the sum $then $s",
            "print the sum of all i with 0 <= i < n that are divisible by $p $op $q, $then $s",
            "sum the numbers up to n - 1 that are divisible by $p $op $q and print the total $then $s",
        ),
        parameters={
            "p": range(2, 6),
            "op": {"or": "or by", "and not": "but not by"},
            "q": range(3, 8),
            "then": PLUS_MINUS,
            "s": range(1, 7),
        },
        where=lambda chosen: chosen["p"] < chosen["q"] and int(chosen["q"]) % int(chosen["p"]) > 0,
        inputs=(integer(8, 40),),
        edges=("8", "13", "40"),
        difficulty=0.5,
    ),
    family(
        name="prime_from",
        program="""
            def prime(n):
                return n > 1 and all(n % i for i in range(2, n))
            n = int(input()) $op $p
            while not prime(n):
                n += 1
            print(n $then $q)
        """,
        descriptions=(
            "print the first prime that is at least n $op $p, $then $q",
            "find the smallest prime not below n $op $p and print it $then $q",
            "count up from n $op $p to the next prime and print that prime $then $q",
        ),
        parameters={"op": PLUS_MINUS, "p": range(1, 9), "then": PLUS_MINUS, "q": range(1, 9)},
        inputs=(integer(5, 60),),
        edges=("1", "8", "24"),
        difficulty=0.7,
    ),
    family(
        name="halve_or_grow",
        program="""
            n = int(input())
            r = 0
            while n > $k:
                if n % 2 == 0:
                    n //= 2
                else:
                    n += $p
                r += $q
            print(n, r)
        """,
        descriptions=(
            "while n is above $k, halve it if even, else add $p; print n and $q times the number of steps",
            "halve an even n and add $p to an odd n until it is at most $k; print n and $q for each step",
            "until n <= $k: an even n is halved, an odd n gets $p more; print n and $q times the steps",
        ),
        parameters={"k": range(7, 15), "p": (1, 3, 5), "q": range(2, 10)},
        inputs=(integer(15, 99),),
        edges=("$k", "16", "99"),
        difficulty=0.6,
    ),
    family(
        name="integer_root",
        program="""
            n = int(input())
            i = 0
            while (i + 1) ** $e * $k <= n:
                i += 1
            print(i, n - i ** $e * $k)
        """,
        descriptions=(
            "find the largest i with $k times i to the power $e at most n; print i and what is left of n",
            "print the largest i such that $k * i ** $e <= n, and the difference of both",
            "count i up while $k * i ** $e stays within n; print i and n minus that value",
        ),
        parameters={"e": range(2, 5), "k": range(2, 26)},
        inputs=(integer(1, 150),),
        edges=("0", "$k", "100"),
        difficulty=0.6,
        held_out=True,
    ),
    family(
        name="common_multiple",
        reads="two integers a and b on one line",
        program="""
            a, b = map(int, input().split())
            r = a
            while r % b != 0:
                r += a
            print(r * $p $op $q)
        """,
        descriptions=(
            "print $p times the least common multiple of a and b, $op $q",
            "find the smallest multiple of a that b divides and print $p times it $op $q",
            "add up a until b divides the sum r, and print $p r $op $q",
        ),
        parameters={"p": range(2, 11), "op": PLUS_MINUS, "q": range(1, 10)},
        inputs=(integers(2, 2, 1, 12),),
        edges=("1 1", "2 3", "4 6"),
        difficulty=0.45,
    ),
)

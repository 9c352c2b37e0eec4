"""Families of the topic parsing: text with separators, units, signs, commands and brackets."""

from __future__ import annotations

from functools import partial

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import Draw, Line, words
from affine_trainer.envs.programs.vocabulary import CUTS, MARKS, OPERATORS, PLUS_MINUS, SEPARATORS, quoted

family = partial(Family, topic="parsing")


def separated(name: str, least: int, most: int, high: int) -> Line:
    """Integers from 0 to `high` joined by the separator that the parameter `name` holds."""
    return lambda draw: draw.parameters[name].join(map(str, draw.integers(least, most, 0, high)))


def expression(draw: Draw) -> str:
    """Two integers with an operator between them."""
    return f"{draw.integer(0, 30)} {draw.rng.choice('+-*')} {draw.integer(0, 12)}"


def letter_counts(draw: Draw) -> str:
    """Letters, each followed by a count."""
    return "".join(f"{draw.rng.choice('abcdxyz')}{draw.integer(1, 4)}" for _ in range(draw.count(2, 4)))


def time_of_day(draw: Draw) -> str:
    """Hours and minutes with a colon between them."""
    return f"{draw.integer(0, 23)}:{draw.integer(0, 59)}"


def named_values(draw: Draw) -> str:
    """Pairs such as `a=5`, separated by spaces; names come from a, b and c."""
    return " ".join(f"{draw.rng.choice('abc')}={draw.integer(0, 20)}" for _ in range(draw.count(3, 4)))


def commands(draw: Draw) -> str:
    """A count n and n lines of a command and an integer."""
    lines = [
        f"{draw.rng.choice(('add', 'sub', 'mul'))} {draw.integer(1, 9)}" for _ in range(draw.count(2, 4))
    ]
    return "\n".join([str(len(lines)), *lines])


def mixed_word(draw: Draw) -> str:
    """Letters and digits in one word; the first is a digit, so that there is one."""
    return draw.letters(1, 1, "123456789") + draw.letters(3, 7, "abcde0123456789")


def balanced_brackets(draw: Draw) -> str:
    """A balanced string of round brackets."""
    text, depth = "(", 1
    for _ in range(draw.count(3, 7)):
        opens = depth == 0 or draw.rng.randrange(2) == 0
        text, depth = text + "()"[not opens], depth + (1 if opens else -1)
    return text + ")" * depth


def signed_sum(draw: Draw) -> str:
    """Integers with signs, without spaces, such as `5+12-3`."""
    tail = "".join(f"{draw.rng.choice('+-')}{draw.integer(1, 30)}" for _ in range(draw.count(1, 3)))
    return f"{draw.integer(1, 30)}{tail}"


def groups(draw: Draw) -> str:
    """Two or three groups of one to three integers, joined by the separator of the parameter `m`."""
    parts = [draw.integers(1, 3, 0, 20) for _ in range(draw.count(2, 3))]
    return draw.parameters["m"].join(" ".join(map(str, part)) for part in parts)


PARSING = (
    family(
        name="split_and_fold",
        reads="integers with $m between them",
        program="""
            a = list(map(int, input().split("$m")))
            print($fold(a) $op $k)
        """,
        descriptions=(
            "print the $fold of the numbers $op $k",
            "split the text at $m, take the $fold of the numbers and print it $op $k",
            "find the $fold of the parts and print that $op $k",
        ),
        parameters={
            "m": SEPARATORS,
            "fold": {"sum": "sum", "max": "largest", "min": "smallest", "len": "count"},
            "op": OPERATORS,
            "k": range(2, 12),
        },
        inputs=(separated("m", 2, 5, 30),),
        edges=("7", "0${m}1", "30${m}30${m}2"),
        difficulty=0.3,
    ),
    family(
        name="change_separator",
        reads="integers with $m between them",
        program="""
            a = input().split("$m")
            print("$d".join(a$cut))
        """,
        descriptions=(
            "print $cut, with $d between them",
            "split the text at $m and print $cut, joined by $d",
            "take $cut and print them with $d between",
        ),
        parameters={
            "m": SEPARATORS,
            "d": MARKS,
            "cut": CUTS,
        },
        where=lambda chosen: chosen["m"] != chosen["d"],
        inputs=(separated("m", 3, 5, 30),),
        edges=("0${m}1${m}2", "1${m}2${m}3${m}4"),
        difficulty=0.3,
    ),
    family(
        name="small_calculator",
        reads="a line like 7 * 5: two integers with +, - or * between them",
        program="""
            a, c, b = input().split()
            a = int(a) $op $k
            b = int(b)
            if c == "+":
                print(a + b $then $p)
            elif c == "-":
                print(a - b $then $p)
            else:
                print(a * b)
        """,
        descriptions=(
            "take the first number $op $k and print the result, for + and - also $then $p",
            "change the first number to itself $op $k; print the product, or the sum or difference $then $p",
            "use the first number $op $k; print the product for *, and otherwise the result $then $p",
        ),
        parameters={"op": PLUS_MINUS, "k": range(1, 12), "then": PLUS_MINUS, "p": range(2, 10)},
        inputs=(expression,),
        edges=("0 + 0", "1 - 9", "2 * 3"),
        difficulty=0.65,
    ),
    family(
        name="expand_counts",
        reads="a string s in which each letter is followed by a digit",
        program="""
            s = input()
            r = ""
            for i in range(0, len(s), 2):
                r += s[i] * (int(s[i + 1]) $op $k) + "$m"
            print(r)
        """,
        descriptions=(
            "write each letter as often as its digit $op $k says, then $m, and print the text",
            "expand each letter with digit d to d $op $k letters followed by $m and print the result",
            "print every letter of s repeated its digit $op $k times, each group with $m behind it",
        ),
        parameters={"op": {"+": "plus", "*": "times"}, "k": range(1, 5), "m": MARKS},
        where=lambda chosen: (chosen["op"], chosen["k"]) != ("*", "1"),
        inputs=(letter_counts,),
        edges=("a1", "a0b2", "x3"),
        difficulty=0.5,
    ),
    family(
        name="later_time",
        reads="a time of day like 7:30",
        program="""
            a, b = map(int, input().split(":"))
            n = (a * 60 + b $op $k) % 1440
            print(n // 60, n % 60)
        """,
        descriptions=(
            "print hours and minutes of the time $k minutes $op",
            "find the time $k minutes $op and print its hour and its minute",
            "print the hour and the minute that a clock shows $k minutes $op",
        ),
        parameters={"op": {"+": "later", "-": "earlier"}, "k": range(5, 600, 5)},
        inputs=(time_of_day,),
        edges=("0:0", "23:59", "12:0"),
        difficulty=0.4,
    ),
    family(
        name="sum_of_named",
        reads="pairs like a=5 on one line, with the names a, b and c",
        program="""
            r = 0
            for s in input().split():
                c, x = s.split("=")
                if c $eq "$c":
                    r += int(x) * $p
                else:
                    r -= int(x) * $q
            print(r)
        """,
        descriptions=(
            "add $p times each value whose name $eq $c, subtract $q times the others, and print the result",
            "print $p times the total of the values whose name $eq $c minus $q times the total of the others",
            "values count $p times if their name $eq $c and -$q times if not; print the sum",
        ),
        parameters={
            "eq": {"==": "is", "!=": "is not"},
            "c": quoted("abc"),
            "p": range(2, 9),
            "q": range(2, 9),
        },
        inputs=(named_values,),
        edges=("a=1", "b=2 c=3", "a=1 b=1 c=1"),
        difficulty=0.6,
    ),
    family(
        name="run_commands",
        reads="a number n and then n lines, each add, sub or mul with an integer",
        program="""
            r = $k
            for _ in range(int(input())):
                s, x = input().split()
                if s == "add":
                    r += int(x)
                elif s == "sub":
                    r -= int(x)
                else:
                    r *= int(x)
            print(r $op $p)
        """,
        descriptions=(
            "start with $k, carry out the commands in turn, and print the result $op $p",
            "let r be $k; add, subtract or multiply by each number as told, then print r $op $p",
            "apply every command to a value that is $k at first and print the last value $op $p",
        ),
        parameters={"k": range(0, 21), "op": OPERATORS, "p": range(2, 10)},
        inputs=(commands,),
        edges=("1\nadd 1", "1\nsub 9", "2\nmul 2\nadd 1"),
        difficulty=0.75,
    ),
    family(
        name="digits_in_text",
        reads="a string s of letters and digits",
        program="""
            s = input()
            a = [int(c) for c in s if c.isdigit()]
            print($fold(a) $op $k, len(s) - len(a))
        """,
        descriptions=(
            "print the $fold of the digits in s $op $k, and the number of letters",
            "take the $fold of all digits of s, print it $op $k and then how many letters there are",
            "pick the digits out of s; print their $fold $op $k and the count of the other characters",
        ),
        parameters={
            "fold": {"sum": "sum", "max": "largest", "min": "smallest"},
            "op": OPERATORS,
            "k": range(2, 21),
        },
        inputs=(mixed_word,),
        edges=("1a", "9", "a5b5"),
        difficulty=0.45,
    ),
    family(
        name="bracket_depth",
        reads="a string of round brackets",
        program="""
            r = []
            d = $k
            for c in input():
                if c == "(":
                    d += $p
                    r.append(d)
                else:
                    d -= $q
            print(*r, d)
        """,
        descriptions=(
            "let d be $k; each ( adds $p to d and each ) takes $q away; print d after every ( and at the end",
            "go up $p at ( and down $q at ), from depth $k on; print the depth after each ( and the last one",
            "start d at $k; at ( raise it by $p and note it, at ) lower it by $q; print the notes and d",
        ),
        parameters={"k": range(0, 12), "p": range(1, 5), "q": range(1, 5)},
        inputs=(balanced_brackets,),
        edges=("()", "(())", "()()"),
        difficulty=0.6,
    ),
    family(
        name="number_in_base",
        reads="a number s in base $k",
        program="""
            s = input()
            n = int(s, $k)
            print(n $op $p)
        """,
        descriptions=(
            "print its usual value $op $p",
            "convert s to a decimal number and print it $op $p",
            "read s as base $k digits and print the value $op $p",
        ),
        parameters={"k": range(2, 10), "op": OPERATORS, "p": range(2, 10)},
        inputs=(lambda draw: draw.letters(2, 4, "0123456789"[: draw.value("k")]),),
        edges=("0", "1", "10", "11"),
        difficulty=0.4,
    ),
    family(
        name="initials",
        reads="a line of words",
        program="""
            a = input().split()
            print("$m".join(s[$i]$post for s in a))
        """,
        descriptions=(
            "print the $i letter of each word$post, with $m between them",
            "take the $i letter of every word and print them$post, joined by $m",
            "join the $i letters of the words by $m and print that$post",
        ),
        parameters={
            "m": MARKS,
            "i": {"0": "first", "-1": "last", "1": "second"},
            "post": {"": "", ".upper()": " in capitals", " * 2": " written twice"},
        },
        inputs=(words(3, 5),),
        edges=("to", "bee ant", "no on at"),
        difficulty=0.35,
    ),
    family(
        name="signed_terms",
        reads="a sum like 5+12-3 without spaces",
        program="""
            s = input().replace("-", "+-")
            a = [int(x) for x in s.split("+")]
            print(sum(a) * $p $op len(a) * $q)
        """,
        descriptions=(
            "print $p times its value $op $q times the number of terms",
            "work out the sum and count its terms; print $p times the value $op $q times the count",
            "let v be the value and t the number of terms; print $p v $op $q t",
        ),
        parameters={"p": range(2, 9), "op": PLUS_MINUS, "q": range(2, 10)},
        inputs=(signed_sum,),
        edges=("1", "1-1", "5+12-3"),
        difficulty=0.6,
        held_out=True,
    ),
    family(
        name="fold_groups",
        reads="groups of integers, with $m between groups and spaces inside",
        program="""
            a = []
            for s in input().split("$m"):
                b = list(map(int, s.split()))
                a.append($pick(b) $op $k)
            print(*a)
        """,
        descriptions=(
            "print the $pick of each group $op $k",
            "split the line at $m and print for each part its $pick $op $k",
            "for every group find the $pick and print it $op $k",
        ),
        parameters={
            "m": SEPARATORS,
            "pick": {"max": "largest number", "min": "smallest number", "sum": "sum"},
            "op": PLUS_MINUS,
            "k": range(1, 8),
        },
        inputs=(groups,),
        edges=("1", "1${m}2 3", "5 0${m}0 5"),
        difficulty=0.6,
    ),
)

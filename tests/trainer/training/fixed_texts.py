"""Twenty completions with their gold answers, and what Tina's own reward functions give for them."""

COMPLETIONS = (
    ("<think>\n17 + 25 = 42\n</think>\n<answer>\\boxed{42}</answer>", "$42$"),
    ("17 + 25 = 42\n</think>\n\\boxed{42}", "$42$"),
    ("17 + 25 = 43\n</think>\n\\boxed{43}", "$42$"),
    ("<think>\n" + "wait, carry the one. " * 12, "$42$"),
    ("</think> so \\boxed{42}", "$42$"),
    ("<think>\na\n</think>\n\n</think>\n\\boxed{42}", "$42$"),
    ("\n</think>\n<think>\n\\boxed{\\frac{1}{2}}", "$0.5$"),
    ("<think>\nhalf\n</think>\n\\boxed{\\frac12}", "$\\frac{1}{2}$"),
    ("First, add. Second, carry. Next, check. Finally, \\boxed{7}", "$7$"),
    ("Step 1: add\nStep 2: carry\n\\boxed{8}", "$7$"),
    ("1. add\n2. carry\n3. check\n\\boxed{7}", "$7$"),
    ("- add\n- carry\n* check\n-5 is left\n\\boxed{-5}", "$-5$"),
    ("a b c a b c a b c \\boxed{3}", "$3$"),
    ("the same word " * 40 + "\\boxed{3}", "$3$"),
    ("no no no no no no", "$3$"),
    ("x+1=x+1=x+1=x+1=x+1", "$x+1$"),
    ("", "$3$"),
    ("\\boxed{12}", "12"),
    ("The answer is \\boxed{Evelyn}.", "Evelyn"),
    ("$(1, 2)$ is open, so \\boxed{x>2}" + "\n" * 900, "$(2,\\infty)$"),
)
TARGETS = (
    100, 4000, 30, 250, 22, 1000, 2000, 40, 3000, 50,
    60, 4000, 30, 500, 100, 400, 100, 10, 3500, 900,
)  # fmt: skip

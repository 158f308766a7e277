"""The list `rewards`: what a completion is rewarded for.

Nine rewards, each as Tina's code has it (github.com/shangshang-wang/Tina, tina/post_train_hf/rewards.py) and
with the options that repair it; `docs/reference/recipes.md` lists the trap of each.
"""

from typing import Annotated, Literal

from pydantic import Field

from trainer.judging import Way
from trainer.recipe.sections import Amount, Count, Section

Verifier = Literal["boxed_integer", Way]
"""How an answer is judged (docs/reference/recipes.md); `math_verify` is the preset `reward` of an evaluation."""

Unit = Literal["characters", "tokens"]


class FormatReward(Section):
    """1 if the completion closes its thought exactly once on a line of its own, else 0.

    Trap: `<think>` is not looked for, and a completion cut inside its thought cannot have it, so a low
    value may mean no more than "too long"; `format_given_terminated` is logged beside it.
    """

    name: Literal["format"]
    weight: Amount


class TagCountReward(Section):
    """Half a point for `<think>` and half for `</think>`, each exactly once and followed by a line break.

    Traps: the tags count in any order, unless `ordered`; and the half for `<think>` cannot be had where the
    chat template opens the thought in the prompt.
    """

    name: Literal["tag_count"]
    weight: Amount
    ordered: bool


class AccuracyReward(Section):
    """1 if the final answer is right, 0 if it is wrong, none if the verifier failed.

    Trap: TRL 0.15 averaged none to NaN for the whole step; TRL 1.16 leaves it out.
    """

    name: Literal["accuracy"]
    weight: Amount
    verifier: Verifier


class CosineReward(Section):
    """Accuracy scaled by length: from the `short` value to the `long` one along half a cosine.

    `max_length` is in `unit`; with `clamp` a longer completion gets the `long` value, without it the cosine
    goes on. `undecided` is the value where the gold answer cannot be read, null: none.

    Traps of Tina's: characters against a `max_length` of tokens, without a clamp, so that a right answer of
    twice that length has the full reward again; wrong from 0.0 (short) to -0.5 (long), so that a short wrong
    answer is worth most; 1.0 for any answer to an unreadable gold. Repaired: tokens, clamp, -1.0 to -0.5, null.
    """

    name: Literal["cosine"]
    weight: Amount
    verifier: Verifier
    right_short: float
    right_long: float
    wrong_short: float
    wrong_long: float
    max_length: Count
    clamp: bool
    unit: Unit = "characters"
    undecided: float | None = None


class LengthReward(Section):
    """Kimi k1.5 (arXiv 2501.12599, 2.3.3): .5 for the shortest to -.5 for the longest, at most 0 if wrong.

    Shortest and longest are those of the completions of one prompt (`group`, as in the paper) or of all on
    this process (`batch`, as Tina's code says; its sampler and batch size made that one prompt's, so its
    runs were `group` too). `undecided: right` takes an unreadable gold for answered right (Tina's), null
    gives none.

    Traps: over several prompts the hard one's completions pay for an easy one's being short; a wrong answer
    is punished for its length only, so alone it teaches brevity.
    """

    name: Literal["length"]
    weight: Amount
    verifier: Verifier
    unit: Unit
    over: Literal["batch", "group"]
    undecided: Literal["right"] | None


class L1Reward(Section):
    """Keys of both L1 rewards (arXiv 2503.04697): `alpha` a unit of length off the problem's target.

    The target is the column `target_length` of the data; `target_length` here is that of data without the
    column, null refuses them. `zero_if_equal`: all 0 where all completions of a prompt are equally long.

    Traps: Tina's code subtracts a list from a number and never ran, what is here is repaired; it counts
    characters where the prompt asks for tokens; `zero_if_equal`, left over from `length`, gives a group
    that hits its target nothing. Repaired: tokens, false, null.
    """

    weight: Amount
    verifier: Verifier
    unit: Unit
    alpha: Amount
    target_length: Count | None
    zero_if_equal: bool
    undecided: Literal["right"] | None


class L1ExactReward(L1Reward):
    """1 if right, 0 if wrong, less `alpha` times the distance from the target: no lower bound."""

    name: Literal["l1_exact"]


class L1MaxReward(L1Reward):
    """`delta` + `alpha` x (target - length), from 0 to 1, if right; 0 if wrong."""

    name: Literal["l1_max"]
    delta: float


class ReasoningStepsReward(Section):
    """Steps of the reasoning found by their beginnings ("Step 1:", "1.", "-", "First,"), of `steps` wanted.

    Traps: "1." counts at the beginning of the text only, and "-" or "*" on any new line, also that of a
    negative number. `by_line` counts items at the beginning of each line, and only with a blank after them.
    """

    name: Literal["reasoning_steps"]
    weight: Amount
    steps: Count
    by_line: bool


class RepetitionPenaltyReward(Section):
    """`max_penalty` times the share of n-grams that came before (arXiv 2502.03373, C.2); 0 for a short text.

    Trap: Tina's words are separated by blanks, so a repeated formula without blanks is one word; `tokens`
    counts n-grams of token ids.
    """

    name: Literal["repetition_penalty"]
    weight: Amount
    ngram_size: Count
    max_penalty: Annotated[float, Field(lt=0)]
    unit: Literal["words", "tokens"]


Reward = Annotated[
    FormatReward
    | TagCountReward
    | AccuracyReward
    | CosineReward
    | LengthReward
    | L1ExactReward
    | L1MaxReward
    | ReasoningStepsReward
    | RepetitionPenaltyReward,
    Field(discriminator="name"),
]

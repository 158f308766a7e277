"""A process that compares one mathematical answer a line: `[gold, completion]` in, 1, 0 or null out.

The parent kills it when it takes too long, so math-verify's own timeouts, which would turn a slow
answer into a wrong one, are off. Null means that the gold could not be read.
"""

import json
import logging
import sys
import warnings

from math_verify import LatexExtractionConfig, parse, verify


def main() -> None:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    print("ready", flush=True)
    for line in sys.stdin:
        gold, completion = json.loads(line)
        print(json.dumps(judge(gold, completion)), flush=True)


def judge(gold_text: str, completion: str) -> int | None:
    """Gold first in `verify`: it is not symmetric. An exception ends the process: not decided."""
    gold = parse(gold_text, extraction_mode="first_match", parsing_timeout=None)
    if not gold:
        return None
    boxed_first = LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)
    answer = parse(completion, [boxed_first], extraction_mode="first_match", parsing_timeout=None)
    return int(bool(verify(gold, answer, timeout_seconds=None, raise_on_error=True)))


if __name__ == "__main__":
    main()

"""Tokenizer of the embedded task: 23 tokens, and a chat template that ends in an open <think>.

The format is that of R1-Distill models: the prompt ends in "<think>\\n", a well-formed completion closes
the thought once on its own line and gives its answer in a box.
"""

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

_SPECIAL = ("<|pad|>", "<|eos|>", "<|user|>", "<|assistant|>")
_WORDS = ("<think>", "</think>", "\\boxed{", "}", "\n", "+", "=", "wait", "check")
TOKENS = (*_SPECIAL, *_WORDS, *"0123456789")
PAD_ID, END_ID = TOKENS.index("<|pad|>"), TOKENS.index("<|eos|>")
END = "<|eos|>"

CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] == 'user' %}<|user|>{{ m['content'] }}"
    "{% elif m['role'] == 'assistant' %}<|assistant|>{{ m['content'] }}<|eos|>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)

_PATTERN = "|".join(re.escape(token) for token in sorted(TOKENS, key=len, reverse=True))
_SPLIT = re.compile(_PATTERN)
_IDS = {token: number for number, token in enumerate(TOKENS)}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer; text outside the 23 tokens becomes padding."""
    inner = Tokenizer(models.WordLevel(_IDS, unk_token="<|pad|>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<|pad|>",
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def encode(text: str) -> list[int]:
    """Return the token ids of `text` without going through the tokenizer (much faster in a loop)."""
    return [_IDS[token] for token in _SPLIT.findall(text)]


def prompt_text(question: str) -> str:
    """Return the chat template's text for one user message."""
    return f"<|user|>{question}<|assistant|><think>\n"

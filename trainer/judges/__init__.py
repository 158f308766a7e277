"""Reading of golds and answers: what a completion says, and whether that is the gold."""

from trainer.judges.multiple_choice import choice_gold

__all__ = ["choice_gold"]

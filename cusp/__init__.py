"""Cusp: watches GRPO-LoRA training, recognises the format phase transition, keeps the checkpoint before.

watched = cusp.watch(trainer)  # a trainer of TRL or transformers; or report_to=["cusp"]

run = cusp.init(project="tina", name="open-rs2")
run.log({"rewards/format_reward/mean": 0.41, "completions/mean_length": 812}, step=7)
run.finish()
"""

from typing import TYPE_CHECKING, Any

from cusp.protocol.run import Policy, RewardSpec, RunMetadata
from cusp.run import Run
from cusp.start import init
from cusp.trl.report_to import register_when_imported

if TYPE_CHECKING:
    from cusp.trl.callback import CuspCallback
    from cusp.trl.watch import watch

__version__ = "0.1.0"
__all__ = [
    "CuspCallback",
    "Policy",
    "RewardSpec",
    "Run",
    "RunMetadata",
    "__version__",
    "init",
    "watch",
]

register_when_imported()


def __getattr__(name: str) -> Any:
    """Import the names that need torch and transformers on first use."""
    if name == "CuspCallback":
        from cusp.trl.callback import CuspCallback

        return CuspCallback
    if name == "watch":
        from cusp.trl.watch import watch

        return watch
    raise AttributeError(f"module 'cusp' has no attribute {name!r}")

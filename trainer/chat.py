"""Formats a problem as chat messages."""


def messages(problem: str, system_prompt: str | None) -> list[dict[str, str]]:
    """Return the chat messages for `problem`."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": problem}]

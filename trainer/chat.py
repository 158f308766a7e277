"""A problem as the messages of a chat."""


def messages(problem: str, system_prompt: str | None) -> list[dict[str, str]]:
    """Return the conversation that asks `problem`."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": problem}]

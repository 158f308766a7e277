"""What a server with the OpenAI protocol says when it refuses."""

from typing import Any


def server_words(answer: Any) -> str:
    """Return the reason in an answer, of httpx or requests: its error's message, else its text; 300 characters."""
    try:
        content = answer.json()
        error = content.get("error", content)
        return str(error.get("message", error) if isinstance(error, dict) else error)[:300]
    except (ValueError, AttributeError):
        return str(answer.text).strip()[:300] or "no reason given"

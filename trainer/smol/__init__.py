"""SmolLM2-135M-Instruct as a base model: found on PyPI, converted once, warm-started on the format."""

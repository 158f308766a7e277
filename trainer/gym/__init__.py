"""Problems of reasoning-gym: generated, split into training and held-out ones, and judged."""

"""Who asks: tokens, and what they reach."""

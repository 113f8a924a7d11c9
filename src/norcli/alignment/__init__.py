"""Preference optimization: sample, score against the reference, reward model, PPO."""

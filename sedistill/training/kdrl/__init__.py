"""KDRL in training: references, policy, the step, and the ratios it leaves."""

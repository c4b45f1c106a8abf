"""Networks: noisy waveform (B, T) to enhanced waveform (B, T). Knows nothing of distillation."""

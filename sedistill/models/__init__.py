"""Networks: noisy waveform (B, T) to enhanced waveform (B, T). Independent of distillation."""

"""Waveforms, levels and spectrograms; independent of networks and training."""

"""Ground: waveforms, levels and spectrograms. Knows nothing of learning."""

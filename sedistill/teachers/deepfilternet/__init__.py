"""DeepFilterNet3 as its authors' library computes it, from the graphs that their archive holds.

Schröter et al., "DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement", Interspeech 2023
(https://github.com/Rikorose/DeepFilterNet, MIT or Apache-2.0; here `lib.rs` and `tract.rs` of libDF). That
library goes frame by frame; here onnxruntime takes many at once, several times as fast and with the same
result but for rounding.
"""

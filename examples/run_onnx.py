"""Enhance a file with an exported network: NumPy, soundfile and onnxruntime are all it takes.

sedistill export fastenhancer-t -o network.onnx
python run_onnx.py network.onnx noisy.wav clean.wav
"""

import json
import sys

import numpy as np
import onnxruntime
import soundfile

network, noisy_file, clean_file = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # so small a network is slower on several
session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
facts = session.get_modelmeta().custom_metadata_map
if facts.get("sedistill_form") != "stream":
    sys.exit(f"{network} is no stream; export it with --form stream.")
rate, step, delay = (json.loads(facts[name]) for name in ("sample_rate", "step_samples", "delay_samples"))

noisy, found_rate = soundfile.read(noisy_file, dtype="float32", always_2d=True)
if found_rate != rate:
    sys.exit(f"{noisy_file} has {found_rate} Hz and the network works at {rate} Hz; resample it first.")
steps = -(-(len(noisy) + delay) // step)  # what comes out is `delay` samples late
padded = np.pad(noisy, [(0, steps * step - len(noisy)), (0, 0)])

names = [one.name for one in session.get_inputs()]
clean = np.empty_like(padded)
for channel in range(noisy.shape[1]):
    states = [np.zeros(shape, np.float32) for shape in json.loads(facts["state_shapes"])]
    for start in range(0, steps * step, step):
        piece = padded[None, start : start + step, channel]
        enhanced, *states = session.run(None, dict(zip(names, [piece, *states], strict=True)))
        clean[start : start + step, channel] = enhanced[0]
soundfile.write(clean_file, clean[delay : delay + len(noisy)], rate, subtype="FLOAT")

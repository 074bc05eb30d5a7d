#!/usr/bin/env bash
# Finding: onnxruntime's Sigmoid gives exactly 0 for moderately negative inputs, and 1 / (1 + Exp(-x)) does not.
#
# In onnxruntime 1.32.0 the CPU kernel of Sigmoid returns 0 from about -18 on in float32, where the right value is
# 1.5e-8 and float32 goes down to 1.2e-38. In float64 it returns 0 at -40 (right: 4.2e-18). The same function written
# as Div(1, Add(1, Exp(Neg(x)))) in the graph keeps all digits. So probabilities of rare events tie at 0, and a ranking
# by them is lost.
#
# Seen on 2026-11-29 (x = -10, -18, -20, -40):
#   float32 Sigmoid:        4.5388937e-05 0 0 0
#   float32 1/(1+Exp(-x)):  4.5397868e-05 1.5229981e-08 2.0611537e-09 4.2483541e-18
#   float64 Sigmoid at -40: 0.0
# Exits with 1 if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

KINDS = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}


def run(nodes, x):
    kind = KINDS[x.dtype.type]
    one = helper.make_tensor("one", kind, [], [1.0])
    values = [helper.make_tensor_value_info(name, kind, ["N"]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


sigmoid = [helper.make_node("Sigmoid", ["x"], ["y"])]
written_out = [
    helper.make_node("Neg", ["x"], ["n"]),
    helper.make_node("Exp", ["n"], ["e"]),
    helper.make_node("Add", ["e", "one"], ["s"]),
    helper.make_node("Div", ["one", "s"], ["y"]),
]
x = np.array([-10, -18, -20, -40])
single = run(sigmoid, x.astype(np.float32))
whole = run(written_out, x.astype(np.float32))
double = run(sigmoid, x.astype(np.float64))
print("float32 Sigmoid:       ", *(f"{v:.8g}" for v in single))
print("float32 1/(1+Exp(-x)): ", *(f"{v:.8g}" for v in whole))
print("float64 Sigmoid at -40:", double[3])
right = 1 / (1 + np.exp(-x.astype(float)))
holds = (single[2:] == 0).all() and double[3] == 0 and np.allclose(whole, right, rtol=1e-5, atol=0)
sys.exit(not holds)
PY

"""Log lines of a TensorRT-RTX builder."""

from __future__ import annotations

KERNEL = (
    "Name: __myl_CorrMulMax_myl0_5, LayerType: runtime_fusion, Inputs: [ { Name: a, Dimensions: "
    "[1,32,8,8], Strides: [2048,1,256,32], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) "
    "Channel major format }, { Name: a, Dimensions: [1,32,8,8], Strides: [2048,1,256,32], "
    "StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major format }], Constants: [ "
    "{ Name: w, Dimensions: [16,32,3,3], Strides: [288,1,96,32], StrideOrder: [3,0,2,1], "
    "Datatype: Half, Format: (NHWC) Channel major format }, { Name: b, Dimensions: [1,16,1,1], "
    "Strides: [16,1,16,16], StrideOrder: [3,0,2,1], Datatype: Half, Format: (NHWC) Channel major "
    "format }], Outputs: [ { Name: c, Dimensions: [1,16,8,8], Strides: [1024,1,128,16], "
    "StrideOrder: [3,0,2,1], Datatype: Float, Format: (NHWC) Channel major format }], TacticName: "
    ", StreamId: 0, Metadata: [ONNX Layer: relu][ONNX Layer: conv]"
)


WAIT = (
    "Name: entry^bb^wait^7_myl0_1, LayerType: wait, Inputs: [], Constants: [], Outputs: [], "
    "TacticName: , StreamId: 7, EventId: 66, Metadata: "
)


MEMORY = "Total Activation Memory: 4096 bytes"

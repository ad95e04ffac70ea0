"""A cross-encoder as the ONNX graph that torch's exporter writes of transformers' eager model, opset 17.

The operations on values are the exporter's, one by one; those on shapes, which cost nothing, are constants here.
"""

import math

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

FLASH = (("emb_ln", "embeddings.LayerNorm"), (".layers.", ".layer."), ("mixer.out_proj", "attention.output.dense"),
         ("norm1", "attention.output.LayerNorm"), ("norm2", "output.LayerNorm"), ("mlp.fc1", "intermediate.dense"),
         ("mlp.fc2", "output.dense"))
LOWEST = float(numpy.finfo(numpy.float32).min)


def transformers_names(tensors):
    """Tensors of jina-reranker-v2's flash layout by transformers' names; others stay."""
    for name, value in tensors.items():
        for flash, own in FLASH:
            name = name.replace(flash, own)
        parts = zip(("query", "key", "value"), numpy.split(value, 3)) if "mixer.Wqkv" in name else ()
        yield from ((name.replace("mixer.Wqkv", f"attention.self.{part}"), rows) for part, rows in parts)
        if "mixer.Wqkv" not in name:
            yield name, value


class Graph:
    def __init__(self, tensors):
        self.tensors = dict(transformers_names(tensors))
        self.nodes, self.initializers = [], {}

    def constant(self, value, dtype=numpy.float32):
        return self.store(f"constant_{value}", numpy.array(value, dtype))

    def store(self, name, array):
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(numpy.asarray(array, order="C"), name)
        return name

    def weight(self, name):
        return self.store(name, self.tensors[name])

    def run(self, operation, *inputs, output=None, **attributes):
        output = output or f"{operation}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [output], **attributes))
        return output

    def linear(self, name, x):
        matrix = self.store(f"{name}.transposed", self.tensors[f"{name}.weight"].T)
        return self.run("Add", self.weight(f"{name}.bias"), self.run("MatMul", x, matrix))

    def gemm(self, name, x, **output):
        return self.run("Gemm", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), transB=1, **output)

    def norm(self, name, x, epsilon):
        weights = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.run("LayerNormalization", x, *weights, axis=-1, epsilon=epsilon)

    def gelu(self, x):
        erf = self.run("Erf", self.run("Div", x, self.constant(math.sqrt(2))))
        product = self.run("Mul", x, self.run("Add", erf, self.constant(1.0)))
        return self.run("Mul", product, self.constant(0.5))


def positions(graph, bert, config):
    """[1 or batch, length]: counted from 0, or as XLM-R does among the tokens that are not padding."""
    if bert:
        length = graph.run("Gather", graph.run("Shape", "input_ids"), graph.constant(1, numpy.int64))
        whole = graph.store("position_ids", numpy.arange(config["max_position_embeddings"])[None])
        ends = [graph.store(f"axis_{n}", numpy.array([n])) for n in (0, 1)]
        last = graph.run("Unsqueeze", length, ends[0])
        return graph.run("Slice", whole, ends[0], last, ends[1])
    pad = graph.constant(config["pad_token_id"], numpy.int64)
    kept = graph.run("Cast", graph.run("Not", graph.run("Equal", "input_ids", pad)), to=TensorProto.INT32)
    counted = graph.run("Mul", graph.run("CumSum", kept, graph.constant(1, numpy.int64)), kept)
    return graph.run("Add", graph.run("Cast", counted, to=TensorProto.INT64), pad)


def embeddings(graph, bert, config, base):
    words = graph.run("Gather", graph.weight(f"{base}.word_embeddings.weight"), "input_ids")
    types = graph.weight(f"{base}.token_type_embeddings.weight")
    kinds = "token_type_ids" if bert else graph.run("Mul", "input_ids", graph.constant(0, numpy.int64))
    places = graph.run("Gather", graph.weight(f"{base}.position_embeddings.weight"), positions(graph, bert, config))
    sum_ = graph.run("Add", graph.run("Add", words, graph.run("Gather", types, kinds)), places)
    return graph.norm(f"{base}.LayerNorm", sum_, config["layer_norm_eps"])


def additive_mask(graph):
    """[batch, 1, 1, length]: 0 for tokens, the lowest number for padding."""
    axes = graph.store("axes_1_2", numpy.array([1, 2]))
    kept = graph.run("Cast", graph.run("Unsqueeze", "attention_mask", axes), to=TensorProto.BOOL)
    return graph.run("Where", kept, graph.constant(0.0), graph.constant(LOWEST))


def attention(graph, name, x, mask, config):
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    split = graph.store("split_heads", numpy.array([0, 0, heads, hidden // heads]))
    join = graph.store("join_heads", numpy.array([0, 0, hidden]))

    def heads_of(part, order):
        return graph.run("Transpose", graph.run("Reshape", graph.linear(f"{name}.self.{part}", x), split), perm=order)

    scores = graph.run("MatMul", heads_of("query", [0, 2, 1, 3]), heads_of("key", [0, 2, 3, 1]))
    scaled = graph.run("Mul", scores, graph.constant((hidden // heads) ** -0.5))
    weights = graph.run("Softmax", graph.run("Add", scaled, mask), axis=-1)
    mixed = graph.run("MatMul", weights, heads_of("value", [0, 2, 1, 3]))
    joined = graph.run("Reshape", graph.run("Transpose", mixed, perm=[0, 2, 1, 3]), join)
    return graph.linear(f"{name}.output.dense", joined)


def layer(graph, name, x, mask, config):
    """[batch, length, hidden] to the same."""
    epsilon = config["layer_norm_eps"]
    attended = graph.run("Add", attention(graph, f"{name}.attention", x, mask, config), x)
    x = graph.norm(f"{name}.attention.output.LayerNorm", attended, epsilon)
    inner = graph.gelu(graph.linear(f"{name}.intermediate.dense", x))
    return graph.norm(f"{name}.output.LayerNorm", graph.run("Add", graph.linear(f"{name}.output.dense", inner), x), epsilon)


def write(path, config, tensors):
    graph = Graph(tensors)
    bert = config["model_type"] == "bert"
    base = "bert" if bert else "roberta"
    x = embeddings(graph, bert, config, f"{base}.embeddings")
    mask = additive_mask(graph)
    for index in range(config["num_hidden_layers"]):
        x = layer(graph, f"{base}.encoder.layer.{index}", x, mask, config)
    first = graph.run("Gather", x, graph.constant(0, numpy.int64), axis=1)
    dense, last = ("bert.pooler.dense", "classifier") if bert else ("classifier.dense", "classifier.out_proj")
    graph.gemm(last, graph.run("Tanh", graph.gemm(dense, first)), output="logits")
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if bert else [])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])]
    whole = helper.make_graph(graph.nodes, "cross-encoder", inputs, outputs, list(graph.initializers.values()))
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))

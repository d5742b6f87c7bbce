"""Pictures, arrays and protocol buffers for the tests, with the standard library alone."""

import ast
import io
import struct
import zipfile
import zlib


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows, color_type=2, depth=8):
    """rows: packed samples of each row."""
    raw = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(raw))
        + png_chunk(b"IEND", b"")
    )


def gradient_png(width, height, seed=1):
    """A colourful picture that differs with the seed."""
    return png(
        width,
        height,
        [bytes((x * 7 * seed + y * 3 + c * 50) % 256 for x in range(width) for c in range(3)) for y in range(height)],
    )


def tiff(width, height, data, samples=3, declared_width=None):
    """Uncompressed little-endian TIFF of one strip."""
    entries = [
        (256, 4, 1, declared_width or width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2 if samples == 3 else 1),
        (273, 4, 1, 8),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]
    offset = 8 + len(data) + len(data) % 2
    out = b"II*\0" + struct.pack("<I", offset) + data + b"\0" * (len(data) % 2)
    out += struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        out += struct.pack("<HHII", tag, kind, count, value)
    return out + struct.pack("<I", 0)


def npy(shape, floats):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (tuple(shape),)
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<%df" % len(floats), *floats)


def npz(member, array, method=zipfile.ZIP_DEFLATED):
    """An archive of one array, which was packed by npy()."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(member, array)
    return out.getvalue()


def read_npy(path):
    """Shape and values of a float32 .npy file in C order."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:6] == b"\x93NUMPY", path
    size = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10 : 10 + size].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    count = 1
    for n in header["shape"]:
        count *= n
    values = struct.unpack("<%df" % count, data[10 + size :])
    return header["shape"], values


def png_size(path):
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND", path
    return struct.unpack(">II", data[16:24])


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data, begin, end):
    """(number, type, begin, end) of the fields of a protocol buffer message."""
    at = begin
    while at < end:
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 2:
            size, at = varint(data, at)
            yield number, kind, at, at + size
            at += size
        elif kind == 0:
            start = at
            _, at = varint(data, at)
            yield number, kind, start, at
        else:
            size = 4 if kind == 5 else 8
            yield number, kind, at, at + size
            at += size


def onnx_tensors(data):
    """(name, begin, end of raw_data) of the initializers of an ONNX file."""
    for number, _, begin, end in fields(data, 0, len(data)):
        if number != 7:  # graph
            continue
        for inner, _, b, e in fields(data, begin, end):
            if inner != 5:  # initializer
                continue
            name, raw = "", None
            for n, _, fb, fe in fields(data, b, e):
                if n == 8:
                    name = data[fb:fe].decode()
                elif n == 9:
                    raw = (fb, fe)
            if raw:
                yield name, raw[0], raw[1]


def put_varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def put(number, value):
    """One field: a number, text, bytes or a message that was put together before."""
    if isinstance(value, int):
        return put_varint(number << 3) + put_varint(value)
    if isinstance(value, str):
        value = value.encode()
    return put_varint(number << 3 | 2) + put_varint(len(value)) + value


def onnx_tensor(name, shape, values):
    dims = b"".join(put(1, n) for n in shape)
    return dims + put(2, 1) + put(8, name) + put(9, struct.pack("<%df" % len(values), *values))


def onnx_value(name, shape):
    dims = b"".join(put(1, put(1, n)) for n in shape)
    return put(1, name) + put(2, put(1, put(1, 1) + put(2, dims)))


def onnx_ints(name, values):
    return put(1, name) + put(20, 7) + b"".join(put(8, v) for v in values)


def onnx_node(op, inputs, output, attributes=()):
    out = b"".join(put(1, i) for i in inputs) + put(2, output) + put(3, output) + put(4, op)
    return out + b"".join(put(5, a) for a in attributes)


def onnx_classifier(weights, last=None, side=16):
    """conv 3x3, relu, global average, dense and what comes last ("Softmax", "Sigmoid" or None).

    weights: (conv (hidden,3,3,3), conv bias, dense (classes, hidden), dense bias), flat lists."""
    conv, conv_bias, dense, dense_bias = weights
    hidden, classes = len(conv_bias), len(dense_bias)
    scores = "scores" if last else "y"
    nodes = [
        onnx_node("Conv", ["x", "w1", "b1"], "conv", [onnx_ints("kernel_shape", [3, 3]), onnx_ints("pads", [1] * 4)]),
        onnx_node("Relu", ["conv"], "relu"),
        onnx_node("GlobalAveragePool", ["relu"], "pool"),
        onnx_node("Flatten", ["pool"], "flat"),
        onnx_node("Gemm", ["flat", "w2", "b2"], scores, [put(1, "transB") + put(3, 1) + put(20, 2)]),
    ]
    if last:
        nodes.append(onnx_node(last, [scores], "y"))
    tensors = [
        onnx_tensor("w1", (hidden, 3, 3, 3), conv),
        onnx_tensor("b1", (hidden,), conv_bias),
        onnx_tensor("w2", (classes, hidden), dense),
        onnx_tensor("b2", (classes,), dense_bias),
    ]
    graph = b"".join(put(1, n) for n in nodes) + put(2, "classifier") + b"".join(put(5, t) for t in tensors)
    graph += put(11, onnx_value("x", (1, 3, side, side))) + put(12, onnx_value("y", (1, classes)))
    return put(1, 7) + put(2, "salmap tests") + put(7, graph) + put(8, put(1, "") + put(2, 13))

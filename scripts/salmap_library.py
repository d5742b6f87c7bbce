"""libsalmap through ctypes, as far as the checks of scripts/ need it: one picture's scores and gradient."""
import ctypes

import numpy as np

INDEX = 1  # SAL_TARGET_INDEX


class Target(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("index", ctypes.c_int64), ("score", ctypes.c_int)]


class Info(ctypes.Structure):
    """sal_model_info of an older caller, which stops at these fields."""
    _fields_ = [("size", ctypes.c_size_t), ("path", ctypes.c_char_p), ("format", ctypes.c_char_p), ("channels", ctypes.c_int64),
                ("height", ctypes.c_int64), ("width", ctypes.c_int64), ("channels_last", ctypes.c_int), ("supported", ctypes.c_int),
                ("output", ctypes.c_char_p), ("other_outputs", ctypes.c_char_p), ("outputs", ctypes.c_int64)]


class Salmap:
    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        self.library.sal_last_error.restype = ctypes.c_char_p

    def must(self, status):
        if status != 0:
            raise ValueError(self.library.sal_last_error().decode(errors="replace"))

    def scores_and_gradient(self, model, x, index=0):
        """Of that score, in double precision. model: bytes of a file, or its path. x and the gradient as the file declares them, (1, C,
        H, W) or (1, H, W, C). ValueError where salmap refuses."""
        handle, engine, lib = ctypes.c_void_p(), ctypes.c_void_p(), self.library
        try:
            if isinstance(model, bytes):
                self.must(lib.sal_model_open_bytes(ctypes.byref(handle), model, ctypes.c_size_t(len(model)), None))
            else:
                self.must(lib.sal_model_open(ctypes.byref(handle), str(model).encode(), None))
            info = Info(ctypes.sizeof(Info))
            self.must(lib.sal_model_get_info(ctypes.byref(info), handle))
            if info.channels_last:  # the engine has channels first all the same
                x = x.transpose(0, 3, 1, 2)
            x = np.ascontiguousarray(x, np.float32)
            self.must(lib.sal_engine_open(ctypes.byref(engine), handle, None))
            scores, gradient = np.zeros(info.outputs, np.float32), np.zeros(x.shape, np.float32)
            target = Target(INDEX, index, 0)
            pointer = lambda a: a.ctypes.data_as(ctypes.c_void_p)
            self.must(lib.sal_engine_gradient(engine, pointer(gradient), pointer(scores), None, pointer(x), ctypes.byref(target),
                                              ctypes.c_int64(1)))
            gradient = gradient.transpose(0, 2, 3, 1) if info.channels_last else gradient
            return scores.astype(np.float64), gradient.astype(np.float64)
        finally:
            lib.sal_engine_close(engine)
            lib.sal_model_close(handle)

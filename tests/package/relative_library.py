"""relative_library.py MODEL: loads ./libsalmap.so by its relative path, goes elsewhere, and opens a Keras model, given by its absolute path."""
import ctypes
import os
import sys

library = ctypes.CDLL("./libsalmap.so")
library.sal_last_error.restype = ctypes.c_char_p
model = ctypes.c_void_p()
os.chdir("/")
if library.sal_model_open(ctypes.byref(model), os.fsencode(sys.argv[1]), None) != 0:
    sys.exit(library.sal_last_error().decode())
library.sal_model_close(model)

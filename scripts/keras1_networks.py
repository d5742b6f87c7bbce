"""The network "sequential" of make_keras1_cases.py once more, on JAX: Keras 1 needs a Python that nobody has any more. For
make_keras_cases.py, which first compares it with what Keras 1.2.2 computed."""
import h5py
import jax
import jax.numpy as jnp
import numpy as np

NAMES = [f"keras1_sequential_{order}_{backend}" for order in ("tf", "th") for backend in ("tensorflow", "theano")]
EPSILON = 1e-3  # of Keras 1's batch normalisation


def weights_of(path):
    """In the order of the layers, in double precision."""
    with h5py.File(path) as file:
        group = file["model_weights"]
        return [np.asarray(group[layer][weight], np.float64)
                for layer in group.attrs["layer_names"] for weight in group[layer].attrs["weight_names"]]


class Network:
    """Called with (1, C, H, W), as the files' pictures are: the scores, (1, outputs). tied: what max pools choose from."""

    def __init__(self, path, tied):
        self.tied = tied
        _, _, self.order, self.backend = path.stem.split("_")
        self.weights = weights_of(path)

    def window(self, size, strides, sides, pool):
        """What "same" adds on both sides of both axes."""
        pads = []
        for k, s, n in zip(size, strides, sides):
            out = -(-n // s)
            whole = max((out - 1) * s + k - n, 0)
            begin = whole // 2
            if self.backend == "theano":
                begin = k // 2 if not pool else k - 2 if k > 2 and k % 2 else k - 1
            pads.append((begin, (out - 1) * s + k - n - begin))
        return pads

    def conv(self, x, kernel, strides=(1, 1), same=True):
        if self.order == "tf":
            kernel = kernel.transpose(3, 2, 0, 1)
        if self.backend == "theano":
            kernel = kernel[:, :, ::-1, ::-1]
        pads = self.window(kernel.shape[2:], strides, x.shape[2:], False) if same else "VALID"
        return jax.lax.conv_general_dilated(x, jnp.asarray(kernel), strides, pads)

    def __call__(self, x, training=False):
        first, first_bias, second, gamma, beta, mean, variance, third, third_bias, *dense = self.weights
        channels = (slice(None), None, None)
        x = jnp.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1)))
        x = jax.nn.relu(self.conv(x, first, (2, 1)) + first_bias[channels])
        size, strides = (3, 2), (1, 2)
        pads = [(0, 0), (0, 0), *self.window(size, strides, x.shape[2:], True)]
        x = jax.lax.reduce_window(self.tied(x), -jnp.inf, jax.lax.max, (1, 1, *size), (1, 1, *strides), pads)
        x = self.conv(x, second, same=False)
        x = (x - mean[channels]) / np.sqrt(variance + EPSILON)[channels] * gamma[channels] + beta[channels]
        x = jnp.where(x > 0, x, 0.2 * x)
        x = jnp.tanh(self.conv(x, third, (2, 2)) + third_bias[channels])
        x = (x if self.order == "th" else x.transpose(0, 2, 3, 1)).reshape(1, -1)
        return jax.nn.elu(x @ dense[0] + dense[1]) @ dense[2] + dense[3]

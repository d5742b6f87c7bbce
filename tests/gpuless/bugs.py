"""Bugs that the tests must find: name: (file in cuda/, text of it, what stands there instead). See harness.cmake."""

BUGS = {
    "row_barrier": (
        "kernels/smooth.cu",
        "        }\n        __syncthreads();\n        if (x0 + t < width)",
        "        }\n        if (x0 + t < width)",
    ),
    "column_barrier": (
        "kernels/smooth.cu",
        "    __syncthreads();\n    for (int k = t; k < COLUMNS",
        "    for (int k = t; k < COLUMNS",
    ),
    "row_halo": ("kernels/smooth.cu", "const int x = x0 - radius + k;", "const int x = x0 - radius + k + 1;"),
    "column_halo": ("kernels/smooth.cu", "y = y0 - radius + r;", "y = y0 - radius + r - 1;"),
    "reused_tile": ("kernels/smooth.cu", "w, radius);\n        __syncthreads();\n", "w, radius);\n"),
    "warp_lane": ("kernels/measure.cu", "d > 0; d /= 2", "d > 1; d /= 2"),
    "overrun": ("kernels/normalize.cu", "i < total;", "i < total + 4;"),
    "noise_tail": ("kernels/methods.cu", "if (first + k < elements)", "if (first + k < elements + 1)"),
    "cam_lane": ("kernels/cam.cu", "d > 0; d /= 2", "d > 1; d /= 2"),
    "sum_barrier": (
        "kernels/reduce.cu",
        "        part[warp][lane] = v;\n        __syncthreads();\n",
        "        part[warp][lane] = v;\n",
    ),
    "gather_readers": ("kernels/gather.cu", "k < readers[at + 1]; k++", "k < readers[at + 1] - 1; k++"),
    "matrix_stride": ("product.c", "apart = rows * columns;", "apart = columns;"),
    "channel_stride": (
        "planning/cudnn_describe.c",
        "strides[4] = {e.channels * e.height * e.width, 1, e.channels * e.width, e.channels}",
        "strides[4] = {e.channels * e.height * e.width, e.height * e.width, e.width, 1}",
    ),
    "window_stride": (
        "planning/cudnn_describe.c",
        "CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, w->stride",
        "CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, w->dilation",
    ),
    "upload_wait": (
        "transfers.c",
        "    TRY(CUDA_CHECK(cudaStreamWaitEvent(d->compute, s->copied[k], 0)));\n",
        "",
    ),
    "upload_reuse": ("transfers.c", "    TRY(CUDA_CHECK(cudaEventSynchronize(s->copied[k])));\n", ""),
    "overlay_wait": ("maps.c", "    TRY(CUDA_CHECK(cudaStreamWaitEvent(m->down, s->blended, 0)));\n", ""),
    "early_read": ("maps.c", "cudaEventSynchronize(s->left)", "cudaGetLastError()"),
    "leak": ("maps.c", "    (void)cudaFree(m->work);\n", ""),
    "host_access": ("maps.c", "TRY(take_stats(stats, m, pixels));", "m->host_stats = m->stats;\n    TRY(take_stats(stats, m, pixels));"),
}

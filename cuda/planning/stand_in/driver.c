/* What is left of the driver library (libcuda.so.1) where there is none: enough for cuDNN to plan with the engines that
 * it compiles at run time. It loads what it compiled, to see that it loads; nothing is ever launched. Functions that
 * it only wants to find answer as the toolkit's own stub does. */
enum { SUCCESS = 0, ERROR_STUB_LIBRARY = 34 };

/* Handles: addresses that nobody looks behind. */
static char library_handle[64], kernel_handle[64], function_handle[64];

#define EXPORTED __attribute__((visibility("default")))

#define LOADED(name, handle)                                                                                           \
    EXPORTED int name(void **out);                                                                                     \
    EXPORTED int name(void **out)                                                                                      \
    {                                                                                                                  \
        *out = handle;                                                                                                 \
        return SUCCESS;                                                                                                \
    }

#define ACCEPTED(name)                                                                                                 \
    EXPORTED int name(void);                                                                                           \
    EXPORTED int name(void)                                                                                            \
    {                                                                                                                  \
        return SUCCESS;                                                                                                \
    }

#define ABSENT(name)                                                                                                   \
    EXPORTED int name(void);                                                                                           \
    EXPORTED int name(void)                                                                                            \
    {                                                                                                                  \
        return ERROR_STUB_LIBRARY;                                                                                     \
    }

/* Further arguments are left where the caller put them. */
LOADED(cuLibraryLoadData, library_handle)
LOADED(cuLibraryGetKernel, kernel_handle)
LOADED(cuKernelGetFunction, function_handle)
ACCEPTED(cuLibraryUnload)
ACCEPTED(cuKernelSetAttribute)
ACCEPTED(cuFuncSetAttribute)

EXPORTED int cuKernelGetAttribute(int *value);
EXPORTED int cuKernelGetAttribute(int *value)
{
    *value = 0;
    return SUCCESS;
}

ABSENT(cuInit)
ABSENT(cuCtxGetCurrent)
ABSENT(cuCtxGetLimit)
ABSENT(cuCtxPopCurrent)
ABSENT(cuCtxPushCurrent)
ABSENT(cuDeviceGet)
ABSENT(cuDeviceGetCount)
ABSENT(cuDriverGetVersion)
ABSENT(cuGetErrorName)
ABSENT(cuGetErrorString)
ABSENT(cuGetProcAddress)
ABSENT(cuGetProcAddress_v2)
ABSENT(cuLaunchCooperativeKernel)
ABSENT(cuLaunchKernel)
ABSENT(cuLaunchKernelEx)
ABSENT(cuLibraryLoadFromFile)
ABSENT(cuLinkAddData)
ABSENT(cuLinkComplete)
ABSENT(cuLinkCreate)
ABSENT(cuLinkDestroy)
ABSENT(cuOccupancyMaxPotentialClusterSize)
ABSENT(cuStreamGetCtx)

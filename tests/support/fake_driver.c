/* A CUDA driver of one device that lives in the host's memory, for the real Python packages.
 *
 * Work is done at once, except that an event is reported as not ready once. Captured work is kept
 * and done when its graph is launched. FAKE_CUDA_MEMORY is how many bytes there are, and
 * FAKE_CUDA_WAIT_MS how long one waits for an event; what is left when the process ends is printed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int CUresult;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101,
       INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600,
       CAPTURE_INVALIDATED = 901 };

typedef struct { void *to; const void *from; size_t size; } Copy;
typedef struct { Copy copies[64]; int count; } Graph;
typedef struct { int capturing, spoilt; Graph graph; } Stream;
typedef struct { int queries_left; } Event;
typedef struct Block { void *start; size_t size; struct Block *next; } Block;

static Block *blocks;
static size_t used, total;
static int contexts, living, retained;
static _Thread_local int current[64], depth;

static void __attribute__((constructor)) begin(void) {
    const char *text = getenv("FAKE_CUDA_MEMORY");
    total = text ? strtoull(text, NULL, 10) : 1 << 24;
}
static void __attribute__((destructor)) end(void) {
    fprintf(stderr, "fake driver: %d objects, %zu bytes, %d contexts left\n", living, used, retained);
}
static int is_active(void) { return depth > 0 && current[depth - 1]; }

CUresult cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
CUresult cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
CUresult cuDeviceGet(int *device, int ordinal) {
    if (ordinal) return INVALID_DEVICE;
    *device = 0;
    return SUCCESS;
}
CUresult cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "Fake GPU");
    return SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 : 0;
    return SUCCESS;
}
CUresult cuDeviceTotalMem(size_t *bytes, int device) { *bytes = total; return SUCCESS; }
CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
    retained++;
    *context = &contexts;
    return SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(int device) { retained--; return SUCCESS; }
CUresult cuCtxPushCurrent(void *context) {
    if (context != &contexts) return INVALID_CONTEXT;
    current[depth++] = 1;
    return SUCCESS;
}
CUresult cuCtxPopCurrent(void **context) {
    if (!depth) return INVALID_CONTEXT;
    depth--;
    if (context) *context = &contexts;
    return SUCCESS;
}
CUresult cuCtxSetCurrent(void *context) {
    if (!depth) depth = 1;
    current[depth - 1] = context != NULL;
    return SUCCESS;
}
CUresult cuCtxGetCurrent(void **context) { *context = is_active() ? &contexts : NULL; return SUCCESS; }
CUresult cuCtxGetDevice(int *device) { *device = 0; return is_active() ? SUCCESS : INVALID_CONTEXT; }
CUresult cuCtxSynchronize(void) { return SUCCESS; }

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    if (!is_active()) return INVALID_CONTEXT;
    *free_bytes = total - used;
    *total_bytes = total;
    return SUCCESS;
}
CUresult cuMemAlloc(unsigned long long *address, size_t size) {
    if (!is_active()) return INVALID_CONTEXT;
    if (used + size > total) return OUT_OF_MEMORY;
    Block *block = malloc(sizeof *block);
    *block = (Block){malloc(size), size, blocks};
    blocks = block;
    used += size;
    *address = (unsigned long long)block->start;
    return SUCCESS;
}
CUresult cuMemFree(unsigned long long address) {
    for (Block **at = &blocks; *at; at = &(*at)->next)
        if ((*at)->start == (void *)address) {
            Block *block = *at;
            *at = block->next;
            used -= block->size;
            free(block->start);
            free(block);
            return SUCCESS;
        }
    return INVALID_VALUE;
}
CUresult cuMemHostAlloc(void **pointer, size_t size, unsigned flags) {
    if (!is_active() || flags != 1) return INVALID_CONTEXT;
    living++;
    *pointer = malloc(size);
    return SUCCESS;
}
CUresult cuMemFreeHost(void *pointer) { living--; free(pointer); return SUCCESS; }

CUresult cuStreamCreate(Stream **stream, unsigned flags) {
    if (!is_active() || flags != 1) return INVALID_VALUE;
    living++;
    *stream = calloc(1, sizeof **stream);
    return SUCCESS;
}
CUresult cuStreamDestroy(Stream *stream) { living--; free(stream); return SUCCESS; }
CUresult cuStreamSynchronize(Stream *stream) {
    if (stream->capturing) stream->spoilt = 1;
    return stream->capturing ? CAPTURE_INVALIDATED : SUCCESS;
}
static CUresult copy(void *to, const void *from, size_t size, Stream *stream) {
    if (!is_active() || !stream) return INVALID_HANDLE;
    if (stream->capturing) stream->graph.copies[stream->graph.count++] = (Copy){to, from, size};
    else memcpy(to, from, size);
    return SUCCESS;
}
CUresult cuMemcpyHtoDAsync(unsigned long long to, const void *from, size_t size, Stream *stream) {
    return copy((void *)to, from, size, stream);
}
CUresult cuMemcpyDtoHAsync(void *to, unsigned long long from, size_t size, Stream *stream) {
    return copy(to, (const void *)from, size, stream);
}
CUresult cuMemcpyDtoDAsync(unsigned long long to, unsigned long long from, size_t size, Stream *s) {
    return copy((void *)to, (const void *)from, size, s);
}

CUresult cuEventCreate(Event **event, unsigned flags) {
    if (!is_active() || flags != 3) return INVALID_VALUE;
    living++;
    *event = calloc(1, sizeof **event);
    return SUCCESS;
}
CUresult cuEventDestroy(Event *event) { living--; free(event); return SUCCESS; }
CUresult cuEventRecord(Event *event, Stream *stream) {
    event->queries_left = 1;
    return stream ? SUCCESS : INVALID_HANDLE;
}
CUresult cuEventQuery(Event *event) { return event->queries_left-- > 0 ? NOT_READY : SUCCESS; }
CUresult cuEventSynchronize(Event *event) {
    const char *wait = getenv("FAKE_CUDA_WAIT_MS");
    if (wait) usleep(1000 * atoi(wait));
    event->queries_left = 0;
    return SUCCESS;
}

CUresult cuStreamBeginCapture(Stream *stream, int mode) {
    if (mode != 1) return INVALID_VALUE;
    *stream = (Stream){.capturing = 1};
    return SUCCESS;
}
CUresult cuStreamEndCapture(Stream *stream, Graph **graph) {
    *graph = NULL;
    stream->capturing = 0;
    if (stream->spoilt) return CAPTURE_INVALIDATED;
    living++;
    *graph = malloc(sizeof **graph);
    **graph = stream->graph;
    return SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(Graph **executable, Graph *graph, unsigned long long flags) {
    if (flags) return INVALID_VALUE;
    living++;
    *executable = malloc(sizeof **executable);
    **executable = *graph;
    return SUCCESS;
}
CUresult cuGraphDestroy(Graph *graph) { living--; free(graph); return SUCCESS; }
CUresult cuGraphExecDestroy(Graph *graph) { living--; free(graph); return SUCCESS; }
CUresult cuGraphLaunch(Graph *graph, Stream *stream) {
    for (int i = 0; i < graph->count; i++)
        memcpy(graph->copies[i].to, graph->copies[i].from, graph->copies[i].size);
    return stream ? SUCCESS : INVALID_HANDLE;
}

CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = error == OUT_OF_MEMORY    ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == INVALID_DEVICE ? "CUDA_ERROR_INVALID_DEVICE"
            : error == NOT_READY      ? "CUDA_ERROR_NOT_READY"
            : error == INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT"
            : error == CAPTURE_INVALIDATED ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
                                           : "CUDA_ERROR_OTHER";
    return SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) { *text = "a text"; return SUCCESS; }

/* How newer packages look every function up. */
CUresult cuGetProcAddress_v2(const char *name, void **function, int version,
                             unsigned long long flags, int *status) {
    if (!strcmp(name, "cuGraphInstantiate")) name = "cuGraphInstantiateWithFlags";
    if (!strcmp(name, "cuGetProcAddress")) name = "cuGetProcAddress_v2";
    Dl_info info;
    dladdr((void *)begin, &info);
    void *self = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    *function = dlsym(self, name);
    if (status) *status = *function ? 0 : 1;
    return *function ? SUCCESS : NOT_FOUND;
}
CUresult cuGetProcAddress(const char *name, void **function, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}

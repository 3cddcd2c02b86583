/* A device that computes nothing and remembers everything: whole graphs run on it, and tests look
 * at what was asked of it.
 *
 * Its memory cannot be touched by the host: every address it gives lies in pages without any
 * permission, so whoever goes around compute/device.h dies at once. For each byte it remembers
 * whose content is there (the host's, a node's output), and fails the test when a step reads what
 * another has overwritten, writes over what it reads without being allowed to, leaves its buffers,
 * or when anything is still allocated at close.
 *
 *     recording_device r;
 *     recording_open(&r, &(recording_options){.lacks = LM_OP_COUNT});
 *     ... lm_plan_new(graph, &r.base, ...), lm_plan_run ...
 *     assert_int_equal(recording_count(&r, RECORDED_STEP), n_nodes);
 *     lm_device_close(&r.base);
 */
#ifndef LM_TESTS_RECORDING_DEVICE_H
#define LM_TESTS_RECORDING_DEVICE_H

#include "compute/device.h"

typedef struct recording_options {
    bool shares_host_memory; /* plain memory and no transfers, as the CPU */
    bool packs;              /* has an order of its own for matrices, twice as large */
    bool has_threads;        /* offers `parallel`, with two of them */
    size_t memory_bytes;     /* what it says that it has; 0: it does not say */
    lm_op_id lacks;          /* an op without kernel; LM_OP_COUNT: none */
    int fail_alloc;          /* the n-th allocation fails; 0: none */
    int lost_after;          /* runs and transfers that go well before the device is lost; 0: all */
} recording_options;

typedef enum recording_kind {
    RECORDED_ALLOC,
    RECORDED_FREE,
    RECORDED_SELECT, /* node */
    RECORDED_PACK,
    RECORDED_UPLOAD,
    RECORDED_DOWNLOAD,
    RECORDED_COPY,
    RECORDED_CLEAR,
    RECORDED_RUN,  /* then its steps */
    RECORDED_STEP, /* node */
    RECORDED_PARALLEL,
    RECORDED_KINDS,
} recording_kind;

typedef struct recording_event {
    recording_kind kind;
    lm_op_id op;       /* of the node */
    const void *at;    /* where in device memory */
    size_t size_bytes; /* how much */
} recording_event;

enum { RECORDING_MAX_BUFFERS = 256, RECORDING_MAX_EVENTS = 1 << 15 };

typedef struct recording_buffer {
    char *at; /* NULL: free */
    size_t size_bytes;
    int32_t *tags; /* [size_bytes] whose content each byte is */
} recording_buffer;

typedef struct recording_device {
    lm_device base;
    lm_backend backend; /* with the optional members that the options ask for */
    recording_options options;
    recording_event *events; /* [n_events] */
    int n_events, n_allocs, n_works;
    recording_buffer buffers[RECORDING_MAX_BUFFERS];
} recording_device;

void recording_open(recording_device *r, const recording_options *options);

/* Forgets the events so far. */
void recording_forget(recording_device *r);

int recording_count(const recording_device *r, recording_kind kind);
/* The i-th event of a kind; fails the test when there is none. */
const recording_event *recording_get(const recording_device *r, recording_kind kind, int i);
/* Sum of the sizes of the events of a kind. */
size_t recording_bytes(const recording_device *r, recording_kind kind);

/* Bytes of the workspace that an op's kernel asks for. */
size_t recording_workspace_bytes(lm_op_id op);

/* Marks a tensor's elements as written by the host, as an upload does: for inputs of devices that
 * share host memory. */
void recording_fill(recording_device *r, const lm_tensor *tensor);

/* Fails the test unless all of the tensor's elements are its own content, or the host's for an
 * input. */
void recording_check(const recording_device *r, const lm_tensor *tensor);

#endif

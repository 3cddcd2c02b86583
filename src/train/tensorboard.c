#include "train/tensorboard.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

enum {
    BOARD_MAX_EVENT_BYTES = 1 << 20,
    CRC32C_POLYNOMIAL = (int)0x82f63b78, /* reflected */
    /* protobuf wire types */
    WIRE_VARINT = 0,
    WIRE_64BIT = 1,
    WIRE_BYTES = 2,
    WIRE_32BIT = 5,
    /* field numbers of Event, Summary, Summary.Value, SummaryMetadata, PluginData, TensorProto, TensorShapeProto.Dim */
    EVENT_WALL_TIME = 1,
    EVENT_STEP = 2,
    EVENT_FILE_VERSION = 3,
    EVENT_SUMMARY = 5,
    SUMMARY_VALUE = 1,
    VALUE_TAG = 1,
    VALUE_SIMPLE = 2,
    VALUE_TENSOR = 8,
    VALUE_METADATA = 9,
    METADATA_PLUGIN = 1,
    PLUGIN_NAME = 1,
    TENSOR_DTYPE = 1,
    TENSOR_SHAPE = 2,
    TENSOR_STRING = 8,
    SHAPE_DIM = 2,
    DIM_SIZE = 1,
    DTYPE_STRING = 7,
};

struct lm_tensorboard {
    FILE *stream;
    lm_buf event, summary, value, part, leaf; /* one message being built, from the outside in */
    bool failed;
};

uint32_t lm_crc32c(const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ (uint32_t)CRC32C_POLYNOMIAL : crc >> 1;
    }
    return ~crc;
}

/* TFRecord's masked form, so that a CRC over data that holds CRCs stays sound. */
static uint32_t masked_crc(const void *bytes, size_t len) {
    uint32_t crc = lm_crc32c(bytes, len);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_varint(lm_buf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) lm_buf_putc(out, (char)(value | 0x80));
    lm_buf_putc(out, (char)value);
}

static void put_key(lm_buf *out, int field, int wire) {
    put_varint(out, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_int(lm_buf *out, int field, uint64_t value) {
    put_key(out, field, WIRE_VARINT);
    put_varint(out, value);
}

static void put_bytes(lm_buf *out, int field, const void *bytes, size_t len) {
    put_key(out, field, WIRE_BYTES);
    put_varint(out, len);
    lm_buf_append(out, bytes, len);
}

static void put_message(lm_buf *out, int field, const lm_buf *message) {
    put_bytes(out, field, message->ptr, message->len);
}

static void write_record(lm_tensorboard *board, const lm_buf *record) {
    uint64_t len = record->len;
    uint32_t len_crc = masked_crc(&len, sizeof len), crc = masked_crc(record->ptr, record->len);
    bool ok = record->status == LOAM_OK && fwrite(&len, sizeof len, 1, board->stream) == 1 &&
              fwrite(&len_crc, sizeof len_crc, 1, board->stream) == 1 &&
              fwrite(record->ptr, record->len, 1, board->stream) == 1 &&
              fwrite(&crc, sizeof crc, 1, board->stream) == 1;
    if (!ok) board->failed = true;
}

/* event = {wall_time, step}; what follows is the caller's. */
static void begin_event(lm_tensorboard *board, int64_t step) {
    double wall_time = (double)lm_clock_epoch_ms() / 1000;
    lm_buf_reset(&board->event);
    put_key(&board->event, EVENT_WALL_TIME, WIRE_64BIT);
    lm_buf_append(&board->event, &wall_time, sizeof wall_time);
    put_int(&board->event, EVENT_STEP, (uint64_t)step);
}

/* Wraps board->value, which is ready but for its tag, and writes the event. */
static void write_value(lm_tensorboard *board, int64_t step, const char *tag) {
    put_bytes(&board->value, VALUE_TAG, tag, strlen(tag));
    lm_buf_reset(&board->summary);
    put_message(&board->summary, SUMMARY_VALUE, &board->value);
    begin_event(board, step);
    put_message(&board->event, EVENT_SUMMARY, &board->summary);
    write_record(board, &board->event);
}

loam_status lm_tensorboard_open(const char *dir, lm_tensorboard **out, loam_error *err) {
    lm_tensorboard *board = lm_calloc(1, sizeof *board);
    if (!board) return lm_error_no_memory(err, sizeof *board);
    lm_buf *const bufs[] = {&board->event, &board->summary, &board->value, &board->part,
                            &board->leaf};
    for (size_t i = 0; i < LM_COUNT_OF(bufs); i++) lm_buf_init(bufs[i], BOARD_MAX_EVENT_BYTES);
    char *path = lm_asprintf("%s/events.out.tfevents.%lld.loam", dir,
                             (long long)(lm_clock_epoch_ms() / 1000));
    board->stream = path ? fopen(path, "abe") : NULL;
    if (!board->stream) {
        lm_error_errno(err, "%s", path ? path : dir);
        lm_free(path);
        lm_tensorboard_close(board);
        return LOAM_IO;
    }
    lm_free(path);
    static const char version[] = "brain.Event:2";
    begin_event(board, 0);
    put_bytes(&board->event, EVENT_FILE_VERSION, version, sizeof version - 1);
    write_record(board, &board->event);
    *out = board;
    return LOAM_OK;
}

void lm_tensorboard_close(lm_tensorboard *board) {
    if (!board) return;
    if (board->stream) fclose(board->stream);
    lm_buf *const bufs[] = {&board->event, &board->summary, &board->value, &board->part,
                            &board->leaf};
    for (size_t i = 0; i < LM_COUNT_OF(bufs); i++) lm_buf_deinit(bufs[i]);
    lm_free(board);
}

void lm_tensorboard_scalar(lm_tensorboard *board, int64_t step, const char *tag, float value) {
    lm_buf_reset(&board->value);
    put_key(&board->value, VALUE_SIMPLE, WIRE_32BIT);
    lm_buf_append(&board->value, &value, sizeof value);
    write_value(board, step, tag);
}

/* The text plugin wants a string tensor of one element. */
void lm_tensorboard_text(lm_tensorboard *board, int64_t step, const char *tag, const char *text) {
    static const char plugin[] = "text";
    lm_buf_reset(&board->value);
    lm_buf_reset(&board->leaf);
    lm_buf_reset(&board->part);
    put_bytes(&board->leaf, PLUGIN_NAME, plugin, sizeof plugin - 1);
    put_message(&board->part, METADATA_PLUGIN, &board->leaf);
    put_message(&board->value, VALUE_METADATA, &board->part);
    static const char one_element[] = {SHAPE_DIM << 3 | WIRE_BYTES, 2, DIM_SIZE << 3 | WIRE_VARINT,
                                       1};
    lm_buf_reset(&board->part);
    put_int(&board->part, TENSOR_DTYPE, DTYPE_STRING);
    put_bytes(&board->part, TENSOR_SHAPE, one_element, sizeof one_element);
    put_bytes(&board->part, TENSOR_STRING, text, strlen(text));
    put_message(&board->value, VALUE_TENSOR, &board->part);
    write_value(board, step, tag);
}

loam_status lm_tensorboard_flush(lm_tensorboard *board, loam_error *err) {
    if (fflush(board->stream) == 0 && !board->failed) return LOAM_OK;
    board->failed = false;
    clearerr(board->stream);
    return lm_error_errno(err, "TensorBoard's event file");
}

/* TensorBoard event files: scalars and text by step, so that TensorBoard shows a run's curves.
 *
 * A file is TFRecords (length, CRC-32C of it, bytes, CRC-32C of them) of the protobuf message Event. Only what scalars and
 * text need is written. Sources: tensorflow/core/lib/io/record_writer.h (format), event.proto, summary.proto, RFC 3720
 * (CRC-32C). One thread.
 */
#ifndef LM_TRAIN_TENSORBOARD_H
#define LM_TRAIN_TENSORBOARD_H

#include <stdint.h>

#include "base/error.h"

typedef struct lm_tensorboard lm_tensorboard;

/* Begins DIR/events.out.tfevents.<seconds>.loam; the folder exists. */
loam_status lm_tensorboard_open(const char *dir, lm_tensorboard **out, loam_error *err) LM_MUST_USE;
void lm_tensorboard_close(lm_tensorboard *board);

/* A failure to write is kept and returned by the next flush: curves are not worth ending a run for. */
void lm_tensorboard_scalar(lm_tensorboard *board, int64_t step, const char *tag, float value);
void lm_tensorboard_text(lm_tensorboard *board, int64_t step, const char *tag, const char *text);
loam_status lm_tensorboard_flush(lm_tensorboard *board, loam_error *err) LM_MUST_USE;

/* CRC-32C (Castagnoli). */
uint32_t lm_crc32c(const void *bytes, size_t len);

#endif

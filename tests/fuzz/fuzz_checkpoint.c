/* Any bytes as a checkpoint file: refused, or every section can be read to its end. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "train/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char path[64];
    lm_checkpoint checkpoint;
    loam_error err;
    volatile uint8_t sum = 0;
    int file = memfd_create("checkpoint", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (lm_checkpoint_open(path, &checkpoint, &err) == LOAM_OK) {
        for (int i = 0; i < checkpoint.n_sections; i++) {
            const lm_checkpoint_section *section = &checkpoint.sections[i];
            for (size_t at = 0; at < section->size; at++)
                sum = (uint8_t)(sum + ((const uint8_t *)section->bytes)[at]);
        }
        lm_checkpoint_close(&checkpoint);
    }
    close(file);
    return 0;
}

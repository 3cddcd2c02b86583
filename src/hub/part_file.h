/* A file that is being fetched: its bytes, which pieces of them are there, and its digest. It survives the end of the
 * process at any point, and the machine's: a piece counts as there only after its bytes have reached the disk.
 *
 *     .loam/parts/<path>.part     the bytes, as long as the file will be, locked by whoever writes it
 *     .loam/parts/<path>.state    a head that says of what content, and a byte for each piece: there or not
 *
 * A state whose head is not exactly the one of the content wanted now is of no use, and the part begins anew. The digest
 * is computed along, of the pieces from the beginning without a gap. One thread.
 */
#ifndef LM_HUB_PART_FILE_H
#define LM_HUB_PART_FILE_H

#include <stdbool.h>

#include "hub/hub_api.h"

typedef struct lm_part_file lm_part_file;

/* Waits while another process writes the same file, asking on_wait now and then whether to go on (false: LOAM_CANCELLED).
 * *out is NULL when that process has completed the file meanwhile. final_path is where it goes in the end. */
loam_status lm_part_file_open(const char *parts_dir, const char *final_path,
                              const lm_hub_file *content, bool (*on_wait)(void *ctx), void *ctx,
                              lm_part_file **out, loam_error *err) LM_MUST_USE;

/* Keeps what is there for another time. NULL is fine. */
void lm_part_file_close(lm_part_file *part);

int lm_part_file_fd(const lm_part_file *part);
int64_t lm_part_file_piece_bytes(const lm_part_file *part);
uint8_t *lm_part_file_done(lm_part_file *part);       /* [pieces] for the downloader to set */
int64_t lm_part_file_bytes(const lm_part_file *part); /* of pieces that are there */
bool lm_part_file_is_whole(const lm_part_file *part);

/* Bytes of disk it will still take. */
int64_t lm_part_file_room(const lm_part_file *part);
loam_status lm_part_file_reserve(lm_part_file *part, loam_error *err) LM_MUST_USE; /* takes them */

/* Pieces have come: hashes what it can, and now and then writes down which are there. */
loam_status lm_part_file_advance(lm_part_file *part, loam_error *err) LM_MUST_USE;

/* Writes down what is there. */
loam_status lm_part_file_save(lm_part_file *part, loam_error *err) LM_MUST_USE;

/* All pieces are there: compares the digest, and gives the file its name. LOAM_CORRUPT, and the part is begun anew, when
 * the bytes are not those that the hub listed. out_sha256 is of the content. */
loam_status lm_part_file_finish(lm_part_file *part, char out_sha256[LM_DIGEST_SHA256_HEX],
                                char out_oid[LM_DIGEST_OID_HEX], loam_error *err) LM_MUST_USE;

#endif

/* Bringing a database's tables up to date: the numbered SQL files of cloud/migrations/, embedded in the program, applied in
 * order, each in a transaction of its own, and recorded in schema_version. A file that has shipped never changes. */
#ifndef LM_CLOUD_TABLE_MIGRATE_H
#define LM_CLOUD_TABLE_MIGRATE_H

#include "cloud/db.h"

/* LOAM_UNSUPPORTED when the database was written by a newer program. */
loam_status lm_migrate(lm_db *db, loam_error *err) LM_MUST_USE;

#endif

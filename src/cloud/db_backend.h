/* What a database driver offers to cloud/db.c; see cloud/db.h for what each function means. Internal to cloud/db*.c. */
#ifndef LM_CLOUD_DB_BACKEND_H
#define LM_CLOUD_DB_BACKEND_H

#include "base/map.h"
#include "cloud/db.h"

typedef struct lm_db_driver {
    const char *kind;
    loam_status (*open)(const char *url, lm_db **out, loam_error *err);
    void (*close)(lm_db *db);
    loam_status (*claim)(lm_db *db, loam_error *err); /* NULL: nothing to do */
    loam_status (*query)(lm_db *db, const char *sql, lm_values values, lm_rows *out,
                         loam_error *err);
    bool (*next)(lm_rows *rows);
    void (*end)(lm_rows *rows);
    int64_t (*n_changed)(const lm_rows *rows); /* of a statement run to its end */
    bool (*is_null)(const lm_rows *rows, int column);
    int64_t (*i64)(const lm_rows *rows, int column);
    lm_str (*text)(const lm_rows *rows, int column);
    loam_status (*script)(lm_db *db, const char *sql, loam_error *err);
    bool (*in_transaction)(const lm_db *db);
    loam_status (*begin)(lm_db *db, loam_error *err);
} lm_db_driver;

/* First member of each driver's connection. */
struct lm_db {
    const lm_db_driver *driver;
    lm_map *statements; /* SQL text -> the driver's prepared statement */
};

extern const lm_db_driver lm_db_sqlite, lm_db_postgres;

#endif

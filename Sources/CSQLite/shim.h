#pragma once
#include <sqlite3.h>
// sqlite3_db_config is variadic: Swift does not import it.
// A connection that only looks must leave no trace: without this, closing the last one writes the WAL back into the database.
static inline int vg_sqlite_no_checkpoint_on_close(sqlite3 *db) {
    return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}

/* SQLite's schema, step by step. A step that was released is never edited: a change is a new one
 * at the end. */
#include "store/store_priv.h"

const struct tg_store_migration tg_store_sqlite_migrations[] = {
    {"responses", "CREATE TABLE responses ("
                  "  key INTEGER PRIMARY KEY,"
                  "  owner TEXT NOT NULL,"
                  "  id TEXT NOT NULL,"
                  "  model TEXT NOT NULL,"
                  "  target TEXT NOT NULL,"
                  "  previous_id TEXT NOT NULL,"
                  "  status TEXT NOT NULL,"
                  "  created_us INTEGER NOT NULL,"
                  "  expires_us INTEGER NOT NULL,"
                  "  pinned INTEGER NOT NULL,"
                  "  input_items TEXT NOT NULL,"
                  "  response TEXT NOT NULL,"
                  "  output_at INTEGER NOT NULL," /* bytes: where in response its items are */
                  "  output_bytes INTEGER NOT NULL"
                  ") STRICT;"
                  "CREATE UNIQUE INDEX responses_by_id ON responses (owner, id);"
                  "CREATE INDEX responses_by_expiry ON responses (expires_us);"},
};
const int tg_store_sqlite_migration_count = (int)TG_ARRAY_LEN(tg_store_sqlite_migrations);

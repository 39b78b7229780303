/** The library, without the suffix that SQLite adds: for drivers and pools that load it by themselves. */
export const path: string;

/** The folder of nightly.sql, the night's work for the sqlite3 shell; of mappings/ and reports/. */
export const sql: string;

/** A connection of better-sqlite3, of node:sqlite, or of another driver that loads extensions alike. */
export interface Connection {
    loadExtension(path: string): unknown;
}

/** Loads the portal into a connection, and gives that back. Every connection needs it. */
export function load<C extends Connection>(db: C): C;

// What is understood of what better-sqlite3 binds: every number as REAL but those of BigInt.
// Usage: bound.mjs DATABASE KEYED-BY-TEXT KEY
import { ask, connect } from './practice.mjs';

const problem = "SELECT coalesce(send_problem(?, 'email'), 'may be sent')";

function tell(db, sql, value) {
    try {
        console.log(ask(db, sql, value));
    } catch (error) {
        console.log(error.message);
    }
}

const [numbered, keyed, key] = process.argv.slice(2);
const db = connect(numbered);
for (const patient of [2, 2n, '2', null]) tell(db, problem, patient);
for (const request of [99, 99n, '99']) tell(db, 'SELECT accept_request(?)', request);
tell(connect(keyed), problem, key);

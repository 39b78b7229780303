// A practice's portal from Node's better-sqlite3: staff send, decide and revoke, a patient signs in.
// Usage: practice.mjs DATABASE
import Database from 'better-sqlite3';
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

// Outside of db.transaction() every statement is its own: the calls that check a guess want it so.
export function connect(path, application = 'ehr', user = null) {
    const db = new Database(path, { timeout: 10000 });
    db.loadExtension('build/portal');
    ask(db, 'SELECT portal_as(?, ?)', application, user);
    return db;
}

export const ask = (db, sql, ...values) => db.prepare(sql).pluck().get(...values);

const status = (db, patient) => ask(db, 'SELECT status FROM portal_status WHERE patient_id = ?', patient);

// What a function throws, in words.
function refusal(call) {
    try {
        call();
    } catch (error) {
        return error.message;
    }
}

async function main(path) {
    const db = connect(path);
    refusal(db.transaction(() => {
        ask(db, 'SELECT send_registration(?, ?)', 2, 'email');
        throw new Error('rolls it back');
    }));
    console.log(status(db, 2));
    console.log(ask(db, 'SELECT send_registration(?, ?)', 2, 'email'));
    console.log(refusal(() => ask(db, 'SELECT send_registration(?, ?)', 99, 'email')));

    db.transaction(() => {
        const requests = db.prepare('SELECT request_id, field FROM pending_requests WHERE patient_id = ?').all(1);
        for (const { request_id, field } of requests) {
            const decide = field === 'city' ? 'accept' : 'decline';
            console.log(field, ask(db, `SELECT ${decide}_request(?)`, request_id));
        }
    })();

    const web = connect(path, 'portal', '203.0.113.7');
    const signIn = () => ask(web, 'SELECT portal_login(?, ?)', 'ada', 'analytical engine');
    console.log(refusal(web.transaction(signIn)));
    const login = JSON.parse(signIn());
    const session = JSON.parse(ask(web, 'SELECT portal_session(?)', login.session));
    console.log(login.result, session.patients[0].patient_id);
    console.log(ask(db, 'SELECT revoke_access(?, ?)', 1, 'asked for by phone'));
    console.log(ask(web, "SELECT coalesce(portal_session(?), 'signed out')", login.session));

    const threads = [3, 4].map((patient) => new Worker(process.argv[1], { workerData: { path, patient } }));
    await Promise.all(threads.map((thread) => once(thread, 'exit')));
    console.log(status(db, 3), status(db, 4));
}

if (!isMainThread) {
    // A connection for each thread.
    ask(connect(workerData.path), 'SELECT send_registration(?, ?)', workerData.patient, 'email');
} else if (process.argv[1]?.endsWith('practice.mjs')) {
    await main(process.argv[2]);
}

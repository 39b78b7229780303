// The peer in Node: the same work as good application code, with better-sqlite3 and node:crypto. What
// peer.py says of tables, links, events and checks holds here too, and so do its databases.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const Database = require(path.join(ROOT, 'build/bench/node/node_modules/better-sqlite3'));

const KEY = Buffer.from('a key that only this bench uses.');
const USER = 'anna';
const ADDRESS = /^[^@\s]+@[^@\s]+\.[^@\s]+$/;
const PAGE = 10000;

const CHART = `
SELECT p.patient_id, p.email, p.email_consent, p.active, p.deceased_on,
       p.first_name || p.date_of_birth AS person, p.preferred_language, r.registration_id, r.created_at
  FROM patient AS p
  LEFT JOIN portal_registration AS r
    ON r.registration_id = (SELECT max(registration_id) FROM portal_registration
                             WHERE patient_id = +p.patient_id)
`;

const seconds = () => Math.floor(Date.now() / 1000);
const mac = (data) => crypto.createHmac('sha256', KEY).update(data).digest();
const keyed = (text) => mac(text).readBigInt64BE() >> 1n;

class Refused extends Error {}

// Links

function tokenMake(registrationId, nonce) {
  const body = Buffer.alloc(7);
  body.writeUInt32BE(registrationId);
  nonce.copy(body, 4);
  const proof = mac(Buffer.concat([Buffer.from('link'), body])).subarray(0, 17);
  return Buffer.concat([body, proof]).toString('base64url');
}

const hashed = Buffer.from('link-------');

function tokenValid(read, token, now) {
  const raw = Buffer.from(token, 'base64url');
  if (raw.length !== 24) return false;
  raw.copy(hashed, 4, 0, 7);
  if (!crypto.timingSafeEqual(mac(hashed).subarray(0, 17), raw.subarray(7))) return false;
  const row = read.get(raw.readUInt32BE(0));
  return row !== undefined && raw.compare(row.nonce, 0, 3, 4, 7) === 0 && row.status === 'live' &&
    row.expires_at > now;
}

const readLink = (db) =>
  db.prepare('SELECT nonce, status, expires_at FROM portal_registration WHERE registration_id = ?');

const tokensAtOnce = (table) => (db) => {
  const read = readLink(db);
  const now = seconds();
  let valid = 0;
  start();
  for (const token of db.prepare(`SELECT token FROM ${table}`).pluck().iterate()) {
    if (tokenValid(read, token, now)) valid++;
  }
  return 2 * valid;
};

function tokensEach(db) {
  const read = readLink(db);
  const tokens = db.prepare('SELECT token FROM bench_scattered').pluck().all();
  let valid = 0;
  start();
  for (const token of tokens) if (tokenValid(read, token, seconds())) valid++;
  return 2 * valid;
}

// Sending

function checkChart(chart) {
  if (chart.deceased_on !== null || !chart.active) {
    throw new Refused(`patient ${chart.patient_id} is deceased or inactive`);
  }
  if (chart.email === null || !ADDRESS.test(chart.email)) {
    throw new Refused(`patient ${chart.patient_id} has no email address on file`);
  }
  if (!chart.email_consent) throw new Refused(`patient ${chart.patient_id} has declined email`);
}

class Sending {
  constructor(db) {
    this.message = db.prepare(`INSERT INTO portal_message (kind, channel, patient_id, recipient, status,
      created_at, due_at) VALUES ('registration', 'email', ?, ?, 'queued', ?, ?)`);
    this.registration = db.prepare(`INSERT INTO portal_registration (registration_id, patient_id,
      destination, identity, nonce, status, created_at, sent_by, language)
      VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)`);
    this.written = db.prepare(`INSERT INTO portal_audit (event_id, at, application, actor, action,
      patient_id, subject, detail, hash) VALUES (?, ?, 'ehr', ?, ?, ?, ?, ?, ?)`);
    this.superseded = db.prepare(`UPDATE portal_registration SET status = 'superseded', ended_at = ?
      WHERE registration_id = ? AND status IN ('queued', 'live', 'expired')`);
    this.cancelled = db.prepare(`UPDATE portal_message SET status = 'cancelled', due_at = NULL
      WHERE message_id = ? AND due_at IS NOT NULL`);
    this.state = db.prepare('SELECT audit_count, audit_head FROM portal_state');
    this.moved = db.prepare('UPDATE portal_state SET audit_count = ?, audit_head = ?, audit_seal = ?');
  }

  begin() {
    const state = this.state.get();
    this.eventId = state.audit_count;
    this.head = state.audit_head;
    this.now = seconds();
  }

  send(chart) {
    checkChart(chart);
    if (chart.created_at !== null && chart.created_at > this.now - 60) {
      throw new Refused(`patient ${chart.patient_id} was sent a registration a moment ago`);
    }
    const id = this.message.run(chart.patient_id, chart.email, this.now, this.now).lastInsertRowid;
    this.registration.run(id, chart.patient_id, keyed(chart.email), keyed(chart.person),
      crypto.randomBytes(3), this.now, `ehr:${USER}`, chart.preferred_language);
    if (chart.registration_id !== null) {
      this.superseded.run(this.now, chart.registration_id);
      this.cancelled.run(chart.registration_id);
    }
    this.event('registration.queued', chart.patient_id, `message ${id}`, 'email');
  }

  event(action, patientId, subject, detail) {
    this.eventId++;
    const told = `${this.eventId}|${this.now}|${USER}|${action}|${patientId}|${subject}|${detail}`;
    this.head = crypto.createHmac('sha256', KEY).update(this.head).update(told).digest();
    this.written.run(this.eventId, this.now, USER, action, patientId, subject, detail, this.head);
  }

  end() {
    this.moved.run(this.eventId, this.head, mac(this.head));
  }
}

// A page at a time: better-sqlite3 does not write while it iterates, and memory stays flat.
function send(db) {
  const page = db.prepare(`${CHART} WHERE p.patient_id > ? ORDER BY p.patient_id LIMIT ${PAGE}`);
  const sending = new Sending(db);
  let done = 0;
  const all = db.transaction(() => {
    sending.begin();
    for (let charts = page.all(0); charts.length > 0;) {
      for (const chart of charts) sending.send(chart);
      done += charts.length;
      charts = page.all(charts.at(-1).patient_id);
    }
    sending.end();
  });
  start();
  all.immediate();
  return done;
}

function sendEach(db, count) {
  const one = db.prepare(`${CHART} WHERE p.patient_id = ?`);
  const sending = new Sending(db);
  const step = db.transaction((patientId) => {
    sending.begin();
    sending.send(one.get(patientId));
    sending.end();
  });
  start();
  for (let id = 1; id <= count; id++) step.immediate(id);
  return count;
}

function sendEachFull(db, count) {
  db.pragma('synchronous = full');
  return sendEach(db, count);
}

// Handing over

function template() {
  const text = fs.readFileSync(path.join(ROOT, 'sql/messages/registration.email.en.txt'), 'utf8')
    .replaceAll('{{practice_name}}', 'Your medical practice').replaceAll('{{hours}}', '72')
    .replaceAll('{{practice}}', 'Your medical practice');
  const [head, html] = text.split('\n---\n');
  const blank = head.indexOf('\n\n');
  return { subject: head.slice('Subject: '.length, blank), plain: head.slice(blank + 2), html };
}

function render({ subject, plain, html }, row) {
  const link = `http://localhost:8080/r/${tokenMake(row.message_id, row.nonce)}`;
  const identifier = `<${row.message_id}.${mac(String(row.message_id)).toString('hex').slice(0, 16)}@localhost>`;
  return { recipient: row.recipient, identifier, subject, plain: plain.replaceAll('{{link}}', link),
    html: html.replaceAll('{{link}}', link) };
}

function handOver(db) {
  const due = db.prepare(`SELECT m.message_id, m.recipient, r.nonce, p.patient_id, p.email,
    p.email_consent, p.active, p.deceased_on FROM portal_message AS m
    JOIN portal_registration AS r ON r.registration_id = m.message_id
    JOIN patient AS p ON p.patient_id = r.patient_id WHERE m.channel = 'email'
    AND m.due_at <= ? ORDER BY m.due_at LIMIT 100`);
  const claimed = db.prepare(`UPDATE portal_message SET status = 'claimed', claim = ?, due_at = ?,
    attempts = attempts + 1 WHERE message_id = ?`);
  const live = db.prepare(`UPDATE portal_registration SET status = 'live', expires_at = ?
    WHERE registration_id = ?`);
  const sent = db.prepare(`UPDATE portal_message SET status = 'sent', due_at = NULL, sent_at = ?
    WHERE message_id = ? AND claim = ?`);
  const fixed = db.prepare(`UPDATE portal_registration SET expires_at = ?
    WHERE registration_id = ? AND status = 'live'`);
  const claim = db.transaction((name, now) => {
    const rows = due.all(now);
    for (const row of rows) {
      checkChart(row);
      if (row.email !== row.recipient) throw new Refused(`message ${row.message_id}: another address`);
      claimed.run(name, now + 300, row.message_id);
      live.run(now + 259200, row.message_id);
    }
    return rows;
  });
  const report = db.transaction((rows, name, now) => {
    for (const row of rows) {
      sent.run(now, row.message_id, name);
      fixed.run(now + 259200, row.message_id);
    }
  });
  const parts = template();
  let done = 0;
  start();
  for (;;) {
    const name = crypto.randomBytes(8).toString('hex');
    const rows = claim.immediate(name, seconds());
    if (rows.length === 0) return done;
    done += rows.map((row) => render(parts, row)).length;
    report.immediate(rows, name, seconds());
  }
}

function expire(db) {
  db.exec(`UPDATE portal_registration SET status = 'live', ended_at = NULL,
    expires_at = unixepoch() - 60 WHERE registration_id <= 10000`);
  db.pragma('wal_checkpoint(truncate)');
  const sending = new Sending(db);
  const all = db.transaction(() => {
    const done = db.prepare(`UPDATE portal_registration SET status = 'expired', ended_at = expires_at
      WHERE status = 'live' AND expires_at <= ?`).run(seconds()).changes;
    sending.begin();
    sending.event('links.expired', null, null, `${done} links`);
    sending.end();
    return done;
  });
  start();
  return all.immediate();
}

// Reading: the queries of portal_status and pending_requests, as views on the bare tables

const lookup = (view) => (db, count) => {
  const fourths = db.prepare('SELECT max(patient_id) / 4 FROM patient').pluck().get();
  const query = db.prepare(`SELECT * FROM ${view} WHERE patient_id = ?`);
  let rows = 0;
  start();
  for (let i = 0; i < count; i++) rows += query.all((i * 7919) % fourths * 4 + 1).length;
  return rows;
};
const counting = (view) => (db) => db.prepare(`SELECT count(*) FROM ${view}`).pluck().get();
const listing = (view) => (db) => {
  let rows = 0;
  for (const row of db.prepare(`SELECT * FROM ${view}`).iterate()) rows += row.patient_id > 0;
  return rows;
};

const works = {
  send,
  send_each_normal: sendEach,
  send_each_full: sendEachFull,
  tokens_at_once: tokensAtOnce('bench_link'),
  tokens_scattered: tokensAtOnce('bench_scattered'),
  tokens_each: tokensEach,
  hand_over: handOver,
  expire,
  status_one: lookup('bench_status'),
  status_count: counting('bench_status'),
  status_list: listing('bench_status'),
  requests_one: lookup('bench_pending'),
  requests_count: counting('bench_pending'),
  requests_list: listing('bench_pending'),
};

let started;

function start() {
  started = process.hrtime.bigint();
}

function main() {
  const [name, file, count] = process.argv.slice(2);
  const db = new Database(file);
  db.pragma('journal_mode = wal');
  db.pragma('synchronous = normal');
  db.pragma('cache_size = -65536');
  for (const view of ['status', 'pending']) {
    const sql = fs.readFileSync(path.join(ROOT, `sql/${view}.sql`), 'utf8');
    db.exec(`CREATE TEMP VIEW bench_${view} AS ${sql.replaceAll('?1', seconds())}`);
  }
  start();
  const done = works[name](db, Number(count));
  const elapsed = Number(process.hrtime.bigint() - started) / 1e9;
  console.log(elapsed, done, process.resourceUsage().maxRSS);
}

main();

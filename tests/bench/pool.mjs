// The rival in JavaScript: composes and sends the message on standard input, so many times, by nodemailer's pool.
// Usage: node pool.mjs port connections count; prints the seconds it took.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import nodemailer from 'nodemailer';

const [port, connections, count] = process.argv.slice(2).map(Number);
const mail = JSON.parse(readFileSync(0, 'utf8'));
const server = nodemailer.createTransport({
  host: '127.0.0.1', port, pool: true, maxConnections: connections, maxMessages: Infinity, ignoreTLS: true,
});
// It writes each part of a message by itself: without this the kernel holds them back for 40 ms.
server.transporter.getSocket = (options, callback) => {
  const socket = net.connect({ ...options, noDelay: true }, () => callback(null, { connection: socket }));
};

const start = performance.now();
let left = count;

async function sendInTurn() {
  while (left-- > 0) await server.sendMail(mail);
}

// Each connection has its next message at hand, and no more of them are kept in memory.
await Promise.all(Array.from({ length: 2 * connections }, sendInTurn));
console.log((performance.now() - start) / 1000);
server.close();

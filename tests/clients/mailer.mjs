// A mailer of one's own, with nodemailer: hands the portal's mail to a server, five messages at a time.
// Usage: node mailer.mjs practice.db host port
import { execFileSync } from 'node:child_process';
import nodemailer from 'nodemailer';

const [database, host, port] = process.argv.slice(2);
// maxRequeues: the pool is not to send again by itself what the server may have.
const patience = { connectionTimeout: 20000, greetingTimeout: 20000, socketTimeout: 20000 };
const server = nodemailer.createTransport({ host, port, pool: true, maxRequeues: 0, ...patience });

const quote = (value) => (typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : value ?? 'NULL');

// The rows of a query, as the sqlite3 shell gives them.
function ask(sql, ...values) {
  const filled = sql.replace(/\?/g, () => quote(values.shift()));
  const input = `.timeout 10000\n.load build/portal\n${filled};\n`;
  const output = execFileSync('sqlite3', ['-batch', '-bail', '-json', database], { input, encoding: 'utf8' });
  return output === '' ? [] : JSON.parse(output);
}

// What became of a message, as report_delivery() takes it, and the server's words.
async function handOver(mail) {
  try {
    await server.sendMail(mail);
    return ['sent', null];
  } catch (error) {
    const words = error.message;
    const isAboutIt = ['RCPT TO', 'DATA'].includes(error.command);
    if (isAboutIt && error.responseCode >= 500) return ['undeliverable', words];
    if (error.responseCode || ['connect', 'getaddrinfo'].includes(error.syscall)) return ['retry', words];
    return ['uncertain', words]; // the server may have it, or not
  }
}

const [from] = ask("SELECT portal_setting('practice_name') AS name, portal_setting('mail_from') AS address");
// Few at a time: what is not reported within 300 seconds of its claim is another's.
const claimFew = () => ask("SELECT claim_messages(50, 'email') AS claim")[0].claim;
for (let claim = claimFew(); claim !== null; claim = claimFew()) {
  await Promise.all(ask('SELECT * FROM portal_claimed(?)', claim).map(async (message) => {
    const { subject, text, html, message_id_header: messageId } = message;
    const to = { name: '', address: message.recipient };
    const became = await handOver({ from, to, subject, text, html, messageId });
    ask('SELECT report_delivery(?, ?, ?, ?)', claim, message.message_id, ...became);
  }));
}
server.close();

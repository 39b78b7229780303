// Twilio's own library as a second client: posts messages and prints what it reads in the answers.
// Usage: node twilio.mjs http://host:port account token < messages.json
import { readFileSync } from 'node:fs';
import twilio from 'twilio';

const [service, account, token] = process.argv.slice(2);

class Elsewhere extends twilio.RequestClient {
  request(options) {
    return super.request({ ...options, uri: options.uri.replace('https://api.twilio.com', service) });
  }
}

const client = twilio(account, token, { httpClient: new Elsewhere() });

async function answer(message) {
  try {
    const { sid, status } = await client.messages.create(message);
    return { sid, status };
  } catch ({ status, code, message: words }) {
    return { status, code, words };
  }
}

const answers = [];
for (const message of JSON.parse(readFileSync(0))) answers.push(await answer(message));
console.log(JSON.stringify(answers));

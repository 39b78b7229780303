// Twilio's own library about callbacks: what it signs, and whether it believes what others signed.
// Usage: node callbacks.mjs token < [{"url", "form", "signature"}, ...]
import { readFileSync } from 'node:fs';
import twilio from 'twilio';

const [token] = process.argv.slice(2);
const sign = twilio.webhooks?.getExpectedTwilioSignature ?? twilio.getExpectedTwilioSignature;

console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(({ url, form, signature }) => ({
  signature: sign(token, url, form),
  believed: twilio.validateRequest(token, signature ?? '', url, form),
}))));

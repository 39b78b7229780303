// Drives the portal's pages in a real browser, as patients, representatives and staff would.
// pages.mjs STORY PRACTICE, a JSON object with what tests/page/test_browser.py prepared.
// Exits with 1 and says on standard error what was not as it should be.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const [story, told] = process.argv.slice(2);
const practice = JSON.parse(told);
const PASSWORD = 'analytical engine';
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const WORDS = {
    en: { sent: 'We have sent a PIN', wait: 'We sent a PIN a moment ago', done: 'You are registered', patients: 'My patients',
          waiting: 'waiting for the practice', accepted: 'The practice accepted', declined: 'The practice did not accept',
          out: 'You have been signed out' },
    es: { sent: 'Hemos enviado un PIN', wait: 'Hace un momento enviamos un PIN', done: 'Registro completado', patients: 'Mis pacientes',
          waiting: 'espera al consultorio', accepted: 'El consultorio aceptó', declined: 'El consultorio no aceptó',
          out: 'Su sesión ha terminado' },
};

// Staff, in the sqlite3 shell

function staff(sql) {
    return execFileSync('sqlite3', practice.shell, { input: `${sql};\n`, encoding: 'utf8' }).trim();
}

// The Maildir

const seen = new Set();

function mails() {
    const folder = join(practice.outbox, 'new');
    const at = (name) => statSync(join(folder, name)).mtimeMs;
    return readdirSync(folder).filter((name) => !seen.has(name)).sort((left, right) => at(left) - at(right));
}

// What a message that has come since has of a pattern; soft line breaks of quoted-printable are joined.
function arrived(pattern) {
    for (const name of mails()) {
        seen.add(name);
        const text = readFileSync(join(practice.outbox, 'new', name), 'utf8').replace(/=\r?\n/g, '').replace(/=3D/g, '=');
        const found = text.match(pattern);
        if (found) return found[1];
    }
    assert.fail(`no message has ${pattern}`);
}

const link = () => arrived(/(http:\/\/\S+\/r\/[\w-]{32})/);
const pin = () => arrived(/\b(\d{6})\b/);

function send(patient) {
    mails().forEach((name) => seen.add(name));
    assert.match(staff(`SELECT send_registration(${patient}, 'email')`), /Portal registration sent by email/);
    return link();
}

// Browsers

const browser = await chromium.launch({ executablePath: practice.chromium, args: ['--no-sandbox'] });
const wrong = [];           // what a page must never do: reported at the end, with the page
const heard = new Set();    // of each request: nobody else is asked

// A person with a browser of their own, whose every request is watched.
async function person(language, options = {}) {
    const context = await browser.newContext({ viewport: SIZES.phone, locale: language === 'es' ? 'es-MX' : 'en-US',
                                               baseURL: practice.url, ...options });
    const page = await context.newPage();
    context.on('request', async (request) => {
        heard.add(new URL(request.url()).origin);
        const headers = await request.allHeaders().catch(() => ({}));
        if (headers.referer) wrong.push(`Referer ${headers.referer} to ${request.url()}`);
    });
    context.on('console', (message) => {
        // A status of 4xx is told there as an error: what is refused has one.  Advice is of other types.
        if (['error', 'warning'].includes(message.type()) && !/status of 4\d\d/.test(message.text())) wrong.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => wrong.push(`${page.url()}: ${error}`));
    page.on('framenavigated', (frame) => {
        if (/\/[rp]\/./.test(new URL(frame.url()).pathname)) wrong.push(`a token in the address: ${frame.url()}`);
    });
    page.language = language;
    page.words = WORDS[language];
    page.looks = options.javaScriptEnabled !== false;
    return page;
}

async function says(page, words) {
    const text = await page.locator('body').innerText();
    assert.ok(text.includes(words), `${page.url()} lacks "${words}":\n${text}`);
}

// Does what leads to another page, and waits for that.
function leads(page, action) {
    return Promise.all([page.waitForNavigation(), action]);
}

const clicks = (page, selector) => leads(page, page.locator(selector).first().click());

// Fills in fields by their names and sends the form that has the first.
async function submit(page, fields) {
    for (const [name, value] of Object.entries(fields)) {
        const field = page.locator(`[name="${name}"]`);
        const kind = await field.first().evaluate((element) => element.type);
        if (kind === 'radio') await page.locator(`[name="${name}"][value="${value}"]`).check();
        else if (kind === 'select-one') await field.selectOption(value);
        else await field.fill(value);
    }
    await clicks(page, `form:has([name="${Object.keys(fields)[0]}"]) button`);
}

// Pictures, and what holds of every page

async function accessible(page, name) {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate((rules) => globalThis.axe.run({ runOnly: rules }), RULES);
    for (const { id, help, nodes } of violations) {
        wrong.push(`${name}: ${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`);
    }
}

// WCAG 2.2: headings, landmarks, language (3.1.1), size of targets (2.5.8), reflow at 320 CSS pixels (1.4.10),
// errors that are named, described and found by the keyboard (3.3.1).
async function sound(page, name) {
    await page.setViewportSize({ width: 320, height: 640 });
    const found = await page.evaluate(() => {
        const errors = [];
        const claim = (holds, what) => { if (!holds) errors.push(what); };
        const tags = [...document.querySelectorAll('main, header, footer, h1, h2')].map((each) => each.tagName).join(' ');
        claim(/^HEADER MAIN H1( H2)? FOOTER$/.test(tags), `landmarks and headings are ${tags}`);
        claim(document.documentElement.scrollWidth <= 320, `${document.documentElement.scrollWidth} pixels wide`);
        for (const each of document.querySelectorAll('a, button, input:not([type=hidden]), select')) {
            const { width, height } = each.getBoundingClientRect();
            claim(width >= 24 && height >= 24, `${each.outerHTML} is ${width} by ${height}`);
        }
        for (const each of document.querySelectorAll('[aria-describedby]')) {
            for (const id of each.getAttribute('aria-describedby').split(' ')) {
                claim(document.getElementById(id), `${each.id} is described by ${id}, which is not there`);
            }
        }
        const alert = document.querySelector('[role=alert]');
        if (alert) claim(document.activeElement === alert, 'what is wrong has not the focus');
        for (const each of document.querySelectorAll('[aria-invalid]')) {
            claim(alert && each.getAttribute('aria-describedby').split(' ').includes(alert.id), `why is ${each.id} invalid?`);
            claim(getComputedStyle(each).borderTopWidth === '2px', `${each.id} does not look invalid`);
        }
        claim(!/\{\{|\}\}/.test(document.documentElement.outerHTML), 'a placeholder');
        return errors;
    });
    wrong.push(...found.map((what) => `${name}: ${what}`));
    if (await page.getAttribute('html', 'lang') !== page.language) wrong.push(`${name}: is not in ${page.language}`);
}

async function look(page, state) {
    const name = `${state}-${page.language}`;
    if (!page.looks) return;
    await accessible(page, name);
    await sound(page, name);
    for (const [size, viewport] of Object.entries(SIZES)) {
        await page.setViewportSize(viewport);
        await page.screenshot({ path: join(practice.pictures, `${name}-${size}.png`), fullPage: true });
    }
    await page.setViewportSize(SIZES.phone);
}

// Parts of stories

async function proves(page, as) {
    await submit(page, { as, last_name: "D'Angelo", date_of_birth: '1979-08-14' });
}

async function deadLinks(page) {
    for (const [state, path] of Object.entries(practice.dead)) {
        await page.goto(path);
        await look(page, `link-${state}`);
    }
}

async function registers(page, patient, username, as) {
    const entered = as === 'patient' ? {} : { name: 'Rita Parent', relationship: 'parent' };
    const opened = send(patient);
    await page.goto(opened);
    assert.equal(new URL(page.url()).pathname, '/register');
    await look(page, 'landing');
    await clicks(page, 'a.button');
    await look(page, 'who');
    await submit(page, { as, last_name: 'Somebody', date_of_birth: '1979-08-14' });
    await look(page, 'who-wrong');
    await proves(page, as);
    await says(page, page.words.sent);
    const code = pin();
    await look(page, `account-${as}`);
    await page.goto('/register/who');
    await proves(page, as);
    await says(page, page.words.wait);
    await look(page, `account-${as}-wait`);
    await submit(page, { pin: code === '111111' ? '222222' : '111111', username, password: PASSWORD, ...entered });
    await look(page, `account-${as}-pin`);
    await submit(page, { pin: code, username, password: 'Anne-Marie', ...entered });
    await look(page, `account-${as}-password`);
    await submit(page, { pin: code, username, password: PASSWORD, ...entered });
    await says(page, page.words.done);
    await look(page, 'done');
    await page.goto(opened);
    await look(page, 'link-used');
}

async function signsIn(page, username) {
    await page.goto('/sign-in');
    await submit(page, { username, password: PASSWORD });
    await says(page, page.words.patients);
}

async function changes(page) {
    await clicks(page, '.cards a');
    await look(page, 'demographics');
    await submit(page, { email: 'anne-marie@example' });
    await look(page, 'demographics-wrong');
    await submit(page, { email: 'anne-marie@example.net', city: 'Ashford', preferred_language: 'es', text_consent: '0' });
    await says(page, page.words.waiting);
    await look(page, 'demographics-waiting');
    await submit(page, { state: await page.inputValue('[name=state]') });
    await look(page, 'demographics-unchanged');
    staff("UPDATE pending_requests SET decision = iif(field = 'city', 'decline', 'accept')");
    await page.goto('/patients');
    await clicks(page, '.cards a');
    await says(page, page.words.accepted);
    await says(page, page.words.declined);
    await look(page, 'demographics-decided');
    await page.emulateMedia({ media: 'print' });
    await page.screenshot({ path: join(practice.pictures, `demographics-print-${page.language}.png`), fullPage: true });
    await page.emulateMedia({ media: 'screen' });
}

async function forgets(page, username) {
    await page.goto('/forgot');
    await look(page, 'forgot');
    mails().forEach((name) => seen.add(name));
    await submit(page, { username });
    await look(page, 'forgot-done');
    staff('SELECT deliver()');
    const reset = arrived(/(http:\/\/\S+\/p\/[\w-]{32})/);
    await page.goto(reset);
    assert.equal(new URL(page.url()).pathname, '/reset');
    await look(page, 'reset');
    await submit(page, { password: 'anne-marie' });
    await look(page, 'reset-password');
    await submit(page, { password: PASSWORD });
    await look(page, 'reset-done');
    await page.goto(reset);
    await submit(page, { password: PASSWORD });
    await look(page, 'reset-link');
}

async function isRevoked(page, patient, username) {
    await signsIn(page, username);
    await clicks(page, '.cards a');
    staff(`SELECT revoke_access(${patient})`);
    await submit(page, { city: 'Paris' });
    await says(page, page.words.out);
    await look(page, 'signed-out');
    await submit(page, { username, password: PASSWORD });
    await look(page, 'sign-in-wrong');
    send(patient);
    await signsIn(page, username);
    await look(page, 'patients');
    await clicks(page, 'form.quiet button');
    await look(page, 'sign-in');
    await page.goto('/nowhere');
    await look(page, 'problem-404');
}

async function wholeStory(language, patient, username, as, options) {
    const page = await person(language, options);
    await deadLinks(page);
    await registers(page, patient, username, as);
    await signsIn(page, username);
    await changes(page);
    await forgets(page, username);
    await isRevoked(page, patient, username);
}

// By the keyboard alone

async function tabTo(page, selector) {
    for (let stops = 0; stops < 60; stops++) {
        await page.keyboard.press('Tab');
        const [there, seen] = await page.evaluate((wanted) => {
            const element = document.activeElement;
            return [element.matches(wanted), element === document.body || getComputedStyle(element).outlineStyle !== 'none'];
        }, selector);
        assert.ok(seen, `${page.url()}: the focus before ${selector} is not seen`);
        if (there) return;
    }
    assert.fail(`${page.url()}: no way to ${selector} by the keyboard`);
}

async function types(page, fields) {
    for (const [name, keys] of Object.entries(fields)) {
        await tabTo(page, `[name="${name}"]`);
        await page.keyboard.type(keys);
    }
    await leads(page, page.keyboard.press('Enter'));
}

async function presses(page, selector) {
    await tabTo(page, selector);
    await leads(page, page.keyboard.press('Enter'));
}

async function byKeyboard() {
    const page = await person('en');
    await page.goto(send(1));
    await presses(page, 'a.button');
    await types(page, { last_name: 'Somebody', date_of_birth: '08141979' });
    // A browser gives the focus once it has drawn the page.
    await page.waitForFunction(() => document.activeElement.id === 'problem');
    await tabTo(page, '[name=as]');
    await page.keyboard.press('ArrowDown');
    await tabTo(page, '[name=last_name]');
    await page.keyboard.press('Control+A');
    await page.keyboard.type("D'Angelo");
    await leads(page, page.keyboard.press('Enter'));
    await types(page, { pin: pin(), name: 'Rita Parent', relationship: 'parent', username: 'rita', password: PASSWORD });
    await says(page, page.words.done);
    await presses(page, 'a.button');
    await types(page, { username: 'rita', password: PASSWORD });
    await presses(page, '.cards a');
    await tabTo(page, '[name=city]');
    await page.keyboard.type('Ashford');
    await presses(page, 'main form:not(.quiet) button');
    await says(page, page.words.waiting);
    await presses(page, '.quiet button');
    await says(page, 'Sign in');
}

// What people do with browsers

async function cookies(origin) {
    const page = await person('en', { baseURL: origin });
    await page.goto(origin + practice.dead.unknown);
    const held = await page.context().cookies();
    assert.deepEqual(held.map(({ name, httpOnly, secure, sameSite, path }) => [name, httpOnly, secure, sameSite, path]).sort(),
                     [['__Host-form', true, true, 'Strict', '/'], ['__Host-link', true, true, 'Lax', '/']]);
    // Until then it may ask for its icon.
    await page.context().close();
    heard.delete(origin);
}

async function doubleClicks(page) {
    await page.goto(send(2));
    await clicks(page, 'a.button');
    await page.fill('[name=last_name]', "D'Angelo");
    await page.fill('[name=date_of_birth]', '1979-08-14');
    await page.dblclick('main button');
    await page.locator('[name=pin]').waitFor();
    await page.fill('[name=pin]', pin());
    await page.fill('[name=username]', 'annemarie');
    await page.fill('[name=password]', PASSWORD);
    await page.dblclick('main button');
    await page.locator('text=/You are registered|please sign in/').waitFor();
    await signsIn(page, 'annemarie');
}

async function twoTabs(page) {
    const other = await page.context().newPage();
    await page.goto('/patients');
    await clicks(page, '.cards a');
    await other.goto(page.url());
    await submit(other, { city: 'Ashford' });
    await submit(page, { state: 'NH' });
    assert.equal(staff("SELECT group_concat(field) FROM (SELECT field FROM pending_requests ORDER BY field)"), 'city,state');
    await submit(page, { state: 'NH', city: 'Ashford' });
    assert.equal(staff('SELECT max(request_id) FROM pending_requests'), '2', 'what waits is asked for once');
    await other.close();
}

async function goesBack(page) {
    await page.goto('/patients');
    await clicks(page, '.cards a');
    await clicks(page, 'form.quiet button');
    await page.goBack();
    await says(page, page.words.out);
    assert.ok(!(await page.content()).includes("D'Angelo"), 'what was shown before signing out is gone');
    await submit(page, { username: 'annemarie', password: 'wrong' });
    await page.reload();
    await says(page, 'not right');
}

// The older tab's form was made before the other signed in: what the page tells to do works.
async function olderTab() {
    const page = await person('en');
    const other = await page.context().newPage();
    await page.goto('/sign-in');
    await other.goto('/sign-in');
    await submit(other, { username: 'annemarie', password: PASSWORD });
    await other.locator('.cards').waitFor();
    await submit(page, { username: 'annemarie', password: PASSWORD });
    await says(page, 'Please go back, reload the page, and send it once more');
    await look(page, 'problem-403');
    await page.goBack();
    await page.reload();
    await submit(page, { username: 'annemarie', password: PASSWORD });
    await says(page, page.words.patients);
}

async function colours() {
    staff(`SELECT portal_setting('practice_name', 'Gesundheitszentrumsgemeinschaft der Familienmedizin Waldsee')`);
    for (const [name, color] of [['dark', '#000000'], ['light', '#ffe066'], ['white', '#ffffff'], ['middle', '#777777']]) {
        staff(`SELECT portal_setting('portal_color', '${color}')`);
        const page = await person('en');
        await page.goto('/sign-in');
        await look(page, `colour-${name}`);
        await page.context().close();
    }
}

async function moves() {
    await cookies(practice.url);
    await cookies(practice.url.replace('127.0.0.1', 'localhost'));
    const page = await person('en');
    await doubleClicks(page);
    await twoTabs(page);
    await goesBack(page);
    await olderTab();
    await colours();
}

const stories = {
    patient: () => wholeStory('en', 1, 'annemarie', 'patient'),
    representative: () => wholeStory('es', 2, 'rita', 'representative'),
    scriptless: () => wholeStory('en', 1, 'annemarie', 'patient', { javaScriptEnabled: false, viewport: SIZES.desktop }),
    keyboard: byKeyboard,
    moves,
};

mkdirSync(practice.pictures, { recursive: true });
try {
    await stories[story]();
    assert.deepEqual(wrong, []);
    assert.deepEqual([...heard], [new URL(practice.url).origin]);
} catch (error) {
    console.error([...new Set(wrong), error.stack].join('\n'));
    process.exitCode = 1;
} finally {
    await browser.close();
}

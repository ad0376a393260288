// The page: what the host says goes to those who show it, and what people ask goes to the host.

import { control, request } from './api.js';
import { Announcer } from './announcer.js';
import { Details } from './details.js';
import { DeviceList } from './devices.js';
import { byId, setAttribute, setText } from './dom.js';
import { EventStream } from './events.js';
import { wait } from './format.js';
import { ModelList } from './model-list.js';
import { TokenKeeper } from './token.js';

// The chosen model is part of the address, so that it can be kept and sent to others.
const addressPrefix = '#model/';

const tokens = new TokenKeeper();
const stream = new EventStream('api/events', () => tokens.value);
const announcer = new Announcer(byId('announcements'));
const devices = new DeviceList(byId('memory'), byId('devices'));
const details = new Details(byId('details'), tokens);
const list = new ModelList({ list: byId('models'), empty: byId('no-models'), summary: byId('models-summary') }, { select, control: ask });

/** @type {Map<string, any>} */
let models = new Map();
let canControl = false;
let needsToken = false;
let chosen = fromAddress();
let connection = { phase: 'connecting' };
let wasLost = false;

stream.addEventListener('event', ({ detail: { type, data } }) => {
  if (type === 'models') {
    models = new Map(data.models.map(model => [model.name, model]));
    canControl = data.canControl;
    needsToken = data.needsToken;
    setText(byId('version'), data.version ?? '');
    devices.show(data.devices ?? []);
    byId('content').hidden = false;
    byId('locked').hidden = true;
  } else if (type === 'model') {
    models.set(data.model.name, data.model);
  } else if (type === 'devices') {
    devices.show(data.devices);
    return;
  }

  announcer.follow(models);
  show();
});

stream.addEventListener('phase', ({ detail }) => {
  const before = connection.phase;
  connection = detail;
  if (detail.phase === 'locked') {
    lock();
    if (detail.given) {
      tokens.clear();
    }
  } else if (detail.phase === 'disconnected' && !wasLost) {
    wasLost = true;
    announcer.say('The connection to the host is lost.');
  } else if (detail.phase === 'live' && wasLost) {
    wasLost = false;
    announcer.say('The connection to the host is back.');
  }

  if (before !== detail.phase) {
    document.body.classList.toggle('stale', wasLost);
  }

  showConnection();
});

tokens.addEventListener('change', showConnection);
addEventListener('hashchange', () => {
  const named = fromAddress();
  if (named !== null) {
    chosen = named;
    show();
  }
});
byId('connect-now').addEventListener('click', () => stream.connect());
byId('forget-token').addEventListener('click', () => {
  tokens.clear();
  // Where reading needs the token too, what was shown with it goes: at once, since the host may be out of reach.
  if (needsToken) {
    lock();
  }

  stream.connect();
});
byId('unlock').addEventListener('click', async () => {
  sayLocked(null);
  try {
    // Asked for first, so that the dialog can say that the token is wrong.
    const answer = await tokens.with('It shows the models of this host and lets you load, reload and unload them.', token => request('api/models', { token }));
    if (answer !== undefined) {
      stream.connect();
    }
  } catch (error) {
    sayLocked(`The token could not be tried. ${error.message}`);
  }
});

// What counts down does so once a second.
setInterval(() => {
  list.tick(now());
  showConnection();
}, 1000);

stream.connect();

function show() {
  const selected = selectedName();
  list.show(models, { selected, canControl, now: now() });
  details.show(models.get(selected) ?? null);
}

// Nothing that was shown stays in the page, seen or not.
function lock() {
  models = new Map();
  setText(byId('version'), '');
  devices.show([]);
  announcer.forget();
  show();
  sayLocked(null);
  byId('locked').hidden = false;
  byId('content').hidden = true;
}

function sayLocked(problem) {
  byId('locked-problem').hidden = problem === null;
  setText(byId('locked-problem'), problem ?? '');
}

function showConnection() {
  const { phase, retryAt } = connection;
  const text = {
    connecting: wasLost ? 'Disconnected, connecting' : 'Connecting',
    live: 'Live',
    locked: 'Token needed',
    disconnected: `Disconnected, next try in ${wait(((retryAt ?? 0) - Date.now()) / 1000)}`,
  }[phase];
  setText(byId('connection-text'), text);
  setAttribute(byId('connection'), 'data-phase', wasLost && phase === 'connecting' ? 'disconnected' : phase);
  byId('connect-now').hidden = !wasLost;
  byId('forget-token').hidden = tokens.value === null;
}

function select(name) {
  chosen = name;
  history.replaceState(null, '', addressPrefix + encodeURIComponent(name));
  show();
  details.reveal();
}

async function ask(name, action) {
  await tokens.with(`To ${action} ${name}, the host wants its token.`, token => control(name, action, token));
}

function selectedName() {
  return chosen !== null && models.has(chosen) ? chosen : models.keys().next().value;
}

function fromAddress() {
  if (!location.hash.startsWith(addressPrefix)) {
    return null;
  }

  try {
    return decodeURIComponent(location.hash.slice(addressPrefix.length));
  } catch {
    // An address that somebody has cut short names no model.
    return null;
  }
}

// Now, by the host's clock.
function now() {
  return Date.now() + stream.skew;
}

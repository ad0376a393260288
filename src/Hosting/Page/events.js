// The stream of events, read by fetch: an EventSource cannot send the token. Comes back by itself, later each time.

import { request } from './api.js';
import { TokenRefused } from './token.js';

// The host writes a comment every 15 seconds unless it is configured otherwise, at most every 20; where four are missing, nobody is
// there. Proxies that gather what they pass on have the rest.
const silence = 90_000;
// The host's time is in whole seconds, and up to one old.
const rounding = 3000;
const firstDelay = 500;
const longestDelay = 15_000;

/**
 * Follows the host until the page is left. Dispatches `phase` (detail: `{ phase, retryAt }`, where the phase is `connecting`, `live`,
 * `disconnected` or `locked`), and `event` (detail: `{ type, data }`).
 */
export class EventStream extends EventTarget {
  #path;
  #token;
  #attempts = 0;
  #timer = 0;
  #abort = null;
  #skew = 0;

  /**
   * @param {string} path
   * @param {() => string | null} token
   */
  constructor(path, token) {
    super();
    this.#path = path;
    this.#token = token;
    // A laptop that wakes up, a network that is back: no reason to wait out the delay.
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#hurry());
  }

  /** What the host's clock is ahead of this one's, in milliseconds: its moments are compared with now. */
  get skew() {
    return this.#skew;
  }

  /** Connects now, giving up the connection or the waiting that there is. */
  connect() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#abort?.abort();
    this.#run(this.#abort = new AbortController());
  }

  #hurry() {
    if (this.#timer !== 0) {
      this.connect();
    }
  }

  async #run(abort) {
    this.#enter('connecting');
    let delay = null;
    try {
      await this.#read(abort);
    } catch (error) {
      if (error instanceof TokenRefused) {
        if (this.#abort === abort) {
          this.#enter('locked', { given: error.given });
        }

        return;
      }

      delay = error.retryAfter ? error.retryAfter * 1000 : null;
    }

    // Another connection may have taken this one's place; then its end is no news.
    if (this.#abort === abort) {
      abort.abort();
      this.#wait(delay);
    }
  }

  async #read(abort) {
    let watchdog = setTimeout(() => abort.abort(), silence);
    try {
      const response = await request(this.#path, { token: this.#token(), signal: abort.signal, accept: 'text/event-stream' });
      const ahead = Date.parse(response.headers.get('Date') ?? '') - Date.now();
      this.#skew = Math.abs(ahead) > rounding ? ahead : 0;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser(event => this.#receive(event));
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), silence);
        if (this.#abort !== abort) {
          return;
        }

        parser.push(value);
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  #receive({ type, text }) {
    const data = JSON.parse(text);
    if (this.#attempts !== 0 || type === 'models') {
      this.#attempts = 0;
      this.#enter('live');
    }

    this.dispatchEvent(new CustomEvent('event', { detail: { type, data } }));
  }

  #wait(asked) {
    // Up to a quarter more, so that many pages do not come back at the same moment.
    const delay = (asked ?? Math.min(firstDelay * 2 ** this.#attempts, longestDelay)) * (1 + Math.random() / 4);
    this.#attempts += 1;
    this.#timer = setTimeout(() => this.connect(), delay);
    this.#enter('disconnected', { retryAt: Date.now() + delay });
  }

  #enter(phase, more) {
    this.dispatchEvent(new CustomEvent('phase', { detail: { phase, ...more } }));
  }
}

/** Takes server-sent events apart (https://html.spec.whatwg.org/multipage/server-sent-events.html), as far as this host writes them. */
export class EventParser {
  #receive;
  #rest = '';
  #type = '';
  #data = [];

  /** @param {(event: { type: string, text: string }) => void} receive */
  constructor(receive) {
    this.#receive = receive;
  }

  /** Takes what has arrived; it may end anywhere. */
  push(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop();
    for (const line of lines) {
      this.#take(line.endsWith('\r') ? line.slice(0, -1) : line);
    }
  }

  #take(line) {
    if (line === '') {
      if (this.#data.length > 0) {
        this.#receive({ type: this.#type || 'message', text: this.#data.join('\n') });
      }

      this.#type = '';
      this.#data = [];
      return;
    }

    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'event') {
      this.#type = value;
    } else if (field === 'data') {
      this.#data.push(value);
    }
  }
}

// The token: asked for once in a dialog, kept as long as the tab is open, forgotten as soon as the host refuses it.

import { byId, setAttribute } from './dom.js';

const key = 'ilgpu-loader.token';

// What a host takes as a token; anything else is not sent, and much of it could not be.
const possible = /^[\u0021-\u007e]+$/;

/** A call was answered 401. */
export class TokenRefused extends Error {
  /** @param {boolean} given Whether the call had a token. */
  constructor(given) {
    super(given ? 'The host does not accept this token.' : 'The host asks for its token.');
    this.given = given;
  }
}

export class TokenKeeper extends EventTarget {
  #fallback = null;
  #dialog = byId('token-dialog');
  #input = byId('token-input');
  #error = byId('token-error');
  #submit = byId('token-submit');
  #asked = null;

  constructor() {
    super();
    byId('token-form').addEventListener('submit', event => {
      event.preventDefault();
      this.#attempt();
    });
    byId('token-cancel').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('close', () => this.#settle(undefined));
  }

  /** The token of this tab; null where there is none. */
  get value() {
    try {
      return sessionStorage.getItem(key);
    } catch {
      // A browser may refuse storage altogether; the page then has the token until it is left.
      return this.#fallback;
    }
  }

  clear() {
    this.#fallback = null;
    try {
      sessionStorage.removeItem(key);
    } catch {
      // As above: nothing was stored.
    }

    this.dispatchEvent(new Event('change'));
  }

  /**
   * Does what needs the token, asking for it where there is none and again where it is refused.
   * @template T
   * @param {string} purpose What it is needed for, as a sentence.
   * @param {(token: string) => Promise<T>} action Throws `TokenRefused` where the token is wrong.
   * @returns {Promise<T | undefined>} What the action gave; undefined where the dialog was cancelled.
   */
  async with(purpose, action) {
    const token = this.value;
    if (token === null) {
      return this.#ask(purpose, action, null);
    }

    try {
      return await action(token);
    } catch (error) {
      if (!(error instanceof TokenRefused)) {
        throw error;
      }

      this.clear();
      return this.#ask(purpose, action, 'The host no longer accepts the token that this tab had.');
    }
  }

  #ask(purpose, action, problem) {
    this.#settle(undefined);
    byId('token-purpose').textContent = purpose;
    this.#input.value = '';
    this.#show(problem);
    this.#dialog.showModal();
    this.#input.focus();
    return new Promise((resolve, reject) => {
      this.#asked = { action, resolve, reject };
    });
  }

  async #attempt() {
    const asked = this.#asked;
    const token = this.#input.value.trim();
    if (asked === null || token === '' || this.#submit.getAttribute('aria-disabled') === 'true') {
      return;
    }

    if (!possible.test(token)) {
      this.#show('A token has letters, digits and signs of ASCII only, and no spaces within. Paste it again as it was configured.');
      this.#input.select();
      return;
    }

    setAttribute(this.#submit, 'aria-disabled', 'true');
    try {
      const result = await asked.action(token);
      this.#keep(token);
      this.#settle(result, asked);
    } catch (error) {
      if (this.#asked !== asked) {
        return;
      }

      if (error instanceof TokenRefused) {
        this.#show(error.message);
        this.#input.select();
      } else {
        this.#asked = null;
        this.#dialog.close();
        asked.reject(error);
      }
    } finally {
      setAttribute(this.#submit, 'aria-disabled', null);
    }
  }

  #keep(token) {
    this.#fallback = token;
    try {
      sessionStorage.setItem(key, token);
    } catch {
      // As in value.
    }

    this.dispatchEvent(new Event('change'));
  }

  // Ends the question; a dialog that was closed meanwhile has ended it already.
  #settle(result, asked = this.#asked) {
    if (asked === null || asked !== this.#asked) {
      return;
    }

    this.#asked = null;
    this.#input.value = '';
    if (this.#dialog.open) {
      this.#dialog.close();
    }

    asked.resolve(result);
  }

  #show(problem) {
    this.#error.hidden = problem === null;
    this.#error.textContent = problem ?? '';
    setAttribute(this.#input, 'aria-invalid', problem === null ? null : 'true');
  }
}

// Says aloud what has changed: states, not every step of a progress.

const words = {
  Unloaded: 'is unloaded',
  Queued: 'is queued',
  Loading: 'is loading',
  Loaded: 'is loaded',
  Reloading: 'is being reloaded',
  Unloading: 'is being unloaded',
  Failed: 'has failed',
};

export class Announcer {
  #place;
  #states = new Map();

  /** @param {HTMLElement} place A live region. */
  constructor(place) {
    this.#place = place;
  }

  /** Says a sentence. */
  say(text) {
    this.#place.textContent = text;
  }

  /** Unsays what was said, and knows no model any more. */
  forget() {
    this.#states.clear();
    this.say('');
  }

  /** Looks at models and says what is new; what is seen for the first time is not said, since it is on the page. */
  follow(models) {
    const news = [];
    for (const [key, model] of models) {
      const state = `${model.state} ${model.failure?.at ?? ''}`;
      if (this.#states.has(key) && this.#states.get(key) !== state) {
        const failed = model.failure !== undefined && (model.state === 'Failed' || model.failure.isReload);
        news.push(failed ? `${model.name}: ${model.failure.isReload ? 'the reload' : 'the load'} has failed, ${model.failure.code}.` : `${model.name} ${words[model.state] ?? model.state}.`);
      }

      this.#states.set(key, state);
    }

    if (news.length > 0) {
      this.say(news.join(' '));
    }
  }
}

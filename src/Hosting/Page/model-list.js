// The models as cards, in the host's order.

import { ModelCard } from './model-card.js';
import { setText } from './dom.js';

export class ModelList {
  #list;
  #empty;
  #summary;
  #host;
  #cards = new Map();

  /**
   * @param {{ list: HTMLElement, empty: HTMLElement, summary: HTMLElement }} places
   * @param {ConstructorParameters<typeof ModelCard>[0]} host
   */
  constructor({ list, empty, summary }, host) {
    this.#list = list;
    this.#empty = empty;
    this.#summary = summary;
    this.#host = host;
  }

  /** Shows models. */
  show(models, { selected, canControl, now }) {
    for (const [key, card] of this.#cards) {
      if (!models.has(key)) {
        card.element.remove();
        this.#cards.delete(key);
      }
    }

    for (const [key, model] of models) {
      let card = this.#cards.get(key);
      if (card === undefined) {
        this.#cards.set(key, card = new ModelCard(this.#host));
        this.#list.append(card.element);
      }

      card.show(model, { selected: key === selected, canControl, now });
    }

    const available = [...models.values()].filter(model => model.available).length;
    this.#list.hidden = models.size === 0;
    this.#empty.hidden = models.size !== 0;
    setText(this.#summary, models.size === 0 ? '' : `${available} of ${models.size} available`);
  }

  /** Shows what depends on the time alone. */
  tick(now) {
    for (const card of this.#cards.values()) {
      card.tick(now);
    }
  }
}

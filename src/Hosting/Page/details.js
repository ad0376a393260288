// The model that is chosen: its dtypes, where the time of its last load went, and its tensors.

import { element, setText } from './dom.js';
import { bytes, count, counted, duration, name, rate, share } from './format.js';
import { Proportions } from './proportions.js';
import { TensorPanel } from './tensor-panel.js';

export class Details {
  #section;
  #heading = element('h2', { id: 'details-heading', tabindex: '-1' });
  #dtypes = new Proportions('Tensors and bytes of each dtype', ['dtype', 'Tensors', 'Bytes', 'Share']);
  #stages = new Proportions('Time of each stage of the last load', ['Stage', 'Time', 'Share']);
  #dtypesPanel = element('section', { class: 'panel', 'aria-labelledby': 'dtypes-heading' }, element('h3', { id: 'dtypes-heading' }, 'Dtypes'), this.#dtypes.element);
  #loadHeading = element('h3', { id: 'load-heading' }, 'Last load');
  #loadText = element('p', { class: 'muted load-text' });
  #loadPanel = element('section', { class: 'panel', 'aria-labelledby': 'load-heading' }, this.#loadHeading, this.#loadText, this.#stages.element);
  #tensors;

  /** @param {HTMLElement} section @param {import('./token.js').TokenKeeper} tokens */
  constructor(section, tokens) {
    this.#section = section;
    this.#tensors = new TensorPanel(tokens);
    section.append(this.#heading, element('div', { class: 'charts' }, this.#dtypesPanel, this.#loadPanel), this.#tensors.element);
  }

  /** Shows a model; null where there is none to show, of which nothing is left then. */
  show(model) {
    this.#section.hidden = model === null;
    setText(this.#heading, name(model?.name ?? ''));
    if (model === null) {
      this.#showDtypes([]);
      this.#showLoad(undefined);
      this.#tensors.close();
      return;
    }

    this.#showDtypes(model.dtypes ?? []);
    this.#showLoad(model.lastLoad);
    this.#tensors.show(model);
  }

  /** Brings the chosen model to where it is seen; where the cards are above it, that is not so by itself. */
  reveal() {
    const top = this.#section.getBoundingClientRect().top;
    if (top > innerHeight * 0.7) {
      this.#section.scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
    }
  }

  #showDtypes(dtypes) {
    const whole = dtypes.reduce((sum, total) => sum + total.bytes, 0);
    this.#dtypesPanel.hidden = dtypes.length === 0;
    this.#dtypes.show(dtypes.map(total => ({
      label: name(total.dtype),
      value: total.bytes,
      cells: [count(total.tensors), bytes(total.bytes), share(whole > 0 ? total.bytes / whole : 0)],
    })));
  }

  #showLoad(load) {
    this.#loadPanel.hidden = load === undefined;
    if (load === undefined) {
      setText(this.#loadText, '');
      this.#stages.show([]);
      return;
    }

    setText(this.#loadHeading, load.isReload ? 'Last reload' : 'Last load');
    setText(this.#loadText, [
      duration(load.seconds),
      `${bytes(load.bytesRead)} read`,
      rate(load.bytesPerSecond ?? 0),
      load.oldLayers > 0 ? `${counted(load.oldLayers, 'layer')} kept their old weights` : null,
    ].filter(Boolean).join(' · '));
    const stages = load.stages ?? [];
    const rest = load.seconds - stages.reduce((sum, stage) => sum + stage.seconds, 0);
    // Stages that overlap are means; what is left to the whole is said when it is more than rounding.
    const parts = rest > load.seconds * 0.01 ? [...stages, { name: 'other', seconds: rest, isRest: true }] : stages;
    const whole = parts.reduce((sum, part) => sum + part.seconds, 0);
    this.#stages.show(parts.map(part => ({
      label: name(part.name),
      value: part.seconds,
      isRest: part.isRest,
      cells: [duration(part.seconds), share(whole > 0 ? part.seconds / whole : 0)],
    })));
  }
}

// Parts of a whole: a bar in which they lie side by side, and a table that says the same in numbers.

import { element, setText } from './dom.js';

// As many as the style sheet has colours and patterns for.
const looks = 9;
// A label needs about this share of the narrowest bar.
const labelled = 0.14;

const lookOf = (part, index) => part.isRest || index >= looks ? 'look-rest' : `look-${index}`;

/**
 * A bar and a table of parts. The bar is hidden from assistive technology, which has the table.
 */
export class Proportions {
  #bar = element('div', { class: 'proportions-bar', 'aria-hidden': 'true' });
  #body = element('tbody');
  #shown = '';

  /**
   * @param {string} caption What the table is called.
   * @param {string[]} columns The headings; the first is of the part's name.
   */
  constructor(caption, columns) {
    this.element = element('div', { class: 'proportions' }, this.#bar,
      element('table', { class: 'numbers' },
        element('caption', { class: 'visually-hidden' }, caption),
        element('thead', null, element('tr', null, ...columns.map(column => element('th', { scope: 'col' }, column)))),
        this.#body));
  }

  /** @param {{ label: string, value: number, cells: string[], isRest?: boolean }[]} parts In the order in which they are drawn. */
  show(parts) {
    const text = JSON.stringify(parts);
    if (text === this.#shown) {
      return;
    }

    this.#shown = text;
    const whole = parts.reduce((sum, part) => sum + part.value, 0);
    this.#bar.replaceChildren(...parts.filter(part => part.value > 0).map(part => {
      const segment = element('span', { class: `part ${lookOf(part, parts.indexOf(part))}`, title: part.label }, element('span', { class: 'part-label' }));
      // By script: the policy of the page admits no style in markup.
      segment.style.flexGrow = String(part.value / whole);
      setText(segment.firstChild, part.value / whole >= labelled ? part.label : '');
      return segment;
    }));
    this.#body.replaceChildren(...parts.map((part, index) => element('tr', null,
      element('th', { scope: 'row' }, element('span', { class: `swatch ${lookOf(part, index)}`, 'aria-hidden': 'true' }), part.label),
      ...part.cells.map(cell => element('td', null, cell)))));
  }
}

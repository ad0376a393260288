// Memory by device: what our tensors have, what others have, what is free.

import { element, setText } from './dom.js';
import { bytes, counted, name } from './format.js';

export class DeviceList {
  #section;
  #list;
  #rows = new Map();

  /** @param {HTMLElement} section @param {HTMLElement} list */
  constructor(section, list) {
    this.#section = section;
    this.#list = list;
  }

  /** Shows devices, in the host's order. */
  show(devices) {
    this.#section.hidden = devices.length === 0;
    for (const [id, row] of this.#rows) {
      if (!devices.some(device => device.id === id)) {
        row.element.remove();
        this.#rows.delete(id);
      }
    }

    for (const device of devices) {
      let row = this.#rows.get(device.id);
      if (row === undefined) {
        this.#rows.set(device.id, row = new DeviceRow());
        this.#list.append(row.element);
      }

      row.show(device);
    }
  }
}

class DeviceRow {
  #id = element('strong');
  #name = element('span', { class: 'muted' });
  #ours = element('span', { class: 'memory-ours' });
  #others = element('span', { class: 'memory-others' });
  #free = element('span', { class: 'memory-free' });
  #bar = element('div', { class: 'memory-bar', 'aria-hidden': 'true' }, this.#ours, this.#others, this.#free);
  #oursText = element('span');
  #othersText = element('span');
  #freeText = element('span');
  element = element('li', { class: 'device' },
    element('p', { class: 'device-name' }, this.#id, ' ', this.#name),
    this.#bar,
    element('p', { class: 'device-numbers' },
      element('span', { class: 'key' }, element('span', { class: 'swatch memory-ours', 'aria-hidden': 'true' }), this.#oursText),
      element('span', { class: 'key' }, element('span', { class: 'swatch memory-others', 'aria-hidden': 'true' }), this.#othersText),
      element('span', { class: 'key' }, element('span', { class: 'swatch memory-free', 'aria-hidden': 'true' }), this.#freeText)));

  show({ id, name: title = '', liveBytes = 0, liveAllocations = 0, totalBytes = 0, freeBytes = 0 }) {
    // Free memory is measured at another moment than ours is counted.
    const others = Math.max(0, totalBytes - freeBytes - liveBytes);
    setText(this.#id, name(id));
    setText(this.#name, name(title));
    setText(this.#oursText, `${bytes(liveBytes)} models (${counted(liveAllocations, 'allocation')})`);
    setText(this.#othersText, `${bytes(others)} other`);
    setText(this.#freeText, `${bytes(freeBytes)} free of ${bytes(totalBytes)}`);
    const known = totalBytes > 0;
    this.#bar.hidden = !known;
    this.#othersText.parentElement.hidden = !known;
    this.#freeText.parentElement.hidden = !known;
    this.#ours.style.flexGrow = String(liveBytes);
    this.#others.style.flexGrow = String(others);
    this.#free.style.flexGrow = String(freeBytes);
  }
}

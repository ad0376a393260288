// A tree of any length with the keys of the ARIA tree pattern (https://www.w3.org/WAI/ARIA/apg/patterns/treeview/). Only the lines that
// are to be seen are elements; the focus stays on the tree, which names its active line.

import { element, setAttribute, setText } from './dom.js';
import { bytes, counted, name, shape } from './format.js';
import { branchIds, visibleLines } from './tensor-tree.js';

// Lines above and below the visible ones, so that a quick scroll shows no gap.
const overscan = 6;
// Letters typed within this time are one search.
const typing = 700;

/** Dispatches `active` (detail: the node, or null) when another line becomes the active one. */
export class TreeView extends EventTarget {
  #roots = [];
  #lines = [];
  #expanded = new Set();
  #active = null;
  #rows = new Map();
  #space = element('div', { class: 'tree-space', role: 'presentation' });
  #typed = '';
  #typedAt = 0;
  #drawing = 0;

  /** @param {string} label The name of the tree. */
  constructor(label) {
    super();
    this.element = element('div', { class: 'tree', role: 'tree', tabindex: '0', 'aria-label': label }, this.#space);
    this.element.addEventListener('keydown', event => this.#press(event));
    this.element.addEventListener('click', event => this.#click(event));
    this.element.addEventListener('scroll', () => this.#drawSoon(), { passive: true });
    this.element.addEventListener('focus', () => this.#active ?? this.#activate(0));
    new ResizeObserver(() => this.#drawSoon()).observe(this.element);
  }

  /** The number of lines that are open to view. */
  get length() {
    return this.#lines.length;
  }

  /** Shows another tree; branches that are open stay open. */
  show(roots) {
    this.#roots = roots;
    this.#layOut();
  }

  /** Opens every branch, or closes every one. */
  expandAll(open) {
    this.#expanded = new Set(open ? branchIds(this.#roots) : []);
    this.#layOut();
  }

  /** Opens the branches of these ids and closes all others; gives those that were open. */
  exchangeExpanded(ids) {
    const before = this.#expanded;
    this.#expanded = new Set(ids);
    this.#layOut();
    return before;
  }

  /** Back to the top. */
  scrollToTop() {
    this.element.scrollTop = 0;
  }

  #layOut() {
    this.#lines = visibleLines(this.#roots, id => this.#expanded.has(id));
    if (this.#active !== null && this.#index(this.#active) < 0) {
      this.#active = null;
      this.dispatchEvent(new CustomEvent('active', { detail: null }));
    }

    this.#draw();
  }

  #drawSoon() {
    this.#drawing ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = 0;
    const height = this.#lineHeight();
    this.#space.style.height = `${this.#lines.length * height}px`;
    const first = Math.max(0, Math.floor(this.element.scrollTop / height) - overscan);
    const last = Math.min(this.#lines.length - 1, Math.ceil((this.element.scrollTop + this.element.clientHeight) / height) + overscan);
    const wanted = new Set();
    for (let index = first; index <= last; index += 1) {
      wanted.add(index);
    }

    // The active line is an element wherever it is: the tree names it by its id.
    const active = this.#active === null ? -1 : this.#index(this.#active);
    if (active >= 0) {
      wanted.add(active);
    }

    const kept = new Map();
    const ordered = [...wanted].sort((left, right) => left - right);
    for (const index of ordered) {
      const line = this.#lines[index];
      const row = this.#rows.get(line.node.id) ?? new TreeRow();
      this.#rows.delete(line.node.id);
      kept.set(line.node.id, row);
      row.show(line, { index, top: index * height, expanded: this.#expanded.has(line.node.id), active: index === active });
    }

    for (const row of this.#rows.values()) {
      row.element.remove();
    }

    this.#rows = kept;
    // In the order of the lines, for readers that go through the elements; those in place are not moved.
    let next = this.#space.firstChild;
    for (const { element: row } of kept.values()) {
      if (row === next) {
        next = next.nextSibling;
      } else {
        this.#space.insertBefore(row, next);
      }
    }

    setAttribute(this.element, 'aria-activedescendant', active >= 0 ? `tree-row-${active}` : null);
  }

  #lineHeight() {
    return Number.parseFloat(getComputedStyle(this.element).getPropertyValue('--line-height')) || 28;
  }

  #index(id) {
    return this.#lines.findIndex(line => line.node.id === id);
  }

  #activate(index) {
    const line = this.#lines[index];
    if (line === undefined) {
      return;
    }

    this.#active = line.node.id;
    const height = this.#lineHeight();
    const view = this.element;
    if (index * height < view.scrollTop) {
      view.scrollTop = index * height;
    } else if ((index + 1) * height > view.scrollTop + view.clientHeight) {
      view.scrollTop = (index + 1) * height - view.clientHeight;
    }

    this.#draw();
    this.dispatchEvent(new CustomEvent('active', { detail: line.node }));
  }

  #toggle(line, open = !this.#expanded.has(line.node.id)) {
    if (line.node.children === null) {
      return;
    }

    if (open) {
      this.#expanded.add(line.node.id);
    } else {
      this.#expanded.delete(line.node.id);
    }

    this.#layOut();
  }

  #click(event) {
    const row = event.target.closest('[role=treeitem]');
    if (row === null) {
      return;
    }

    const index = Number(row.dataset.index);
    this.#activate(index);
    this.#toggle(this.#lines[index]);
  }

  #press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || this.#lines.length === 0) {
      return;
    }

    const at = this.#active === null ? -1 : this.#index(this.#active);
    const line = this.#lines[at];
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#lineHeight()) - 1);
    const moves = {
      ArrowDown: () => this.#activate(Math.min(at + 1, this.#lines.length - 1)),
      ArrowUp: () => this.#activate(Math.max(at - 1, 0)),
      PageDown: () => this.#activate(Math.min(at + page, this.#lines.length - 1)),
      PageUp: () => this.#activate(Math.max(at - page, 0)),
      Home: () => this.#activate(0),
      End: () => this.#activate(this.#lines.length - 1),
      ArrowRight: () => line && this.#inwards(line, at),
      ArrowLeft: () => line && this.#outwards(line),
      Enter: () => line && this.#toggle(line),
      ' ': () => line && this.#toggle(line),
      '*': () => line && this.#openSiblings(line),
    };
    if (moves[event.key] !== undefined) {
      event.preventDefault();
      moves[event.key]();
    } else if (event.key.length === 1) {
      this.#search(event.key, at, event.timeStamp);
    }
  }

  #inwards(line, at) {
    if (line.node.children !== null && this.#expanded.has(line.node.id)) {
      this.#activate(at + 1);
    } else {
      this.#toggle(line, true);
    }
  }

  #outwards(line) {
    if (line.node.children !== null && this.#expanded.has(line.node.id)) {
      this.#toggle(line, false);
    } else {
      this.#activate(line.parent);
    }
  }

  #openSiblings(line) {
    for (const sibling of this.#lines) {
      if (sibling.parent === line.parent && sibling.node.children !== null) {
        this.#expanded.add(sibling.node.id);
      }
    }

    this.#layOut();
  }

  // To the next line that begins with what was typed.
  #search(letter, at, time) {
    this.#typed = time - this.#typedAt > typing ? letter : this.#typed + letter;
    this.#typedAt = time;
    const sought = this.#typed.toLowerCase();
    const start = this.#typed.length === 1 ? at + 1 : Math.max(at, 0);
    for (let step = 0; step < this.#lines.length; step += 1) {
      const index = (start + step) % this.#lines.length;
      if (this.#lines[index].node.label.toLowerCase().startsWith(sought)) {
        this.#activate(index);
        return;
      }
    }
  }
}

class TreeRow {
  #label = element('bdi', { class: 'tree-label' });
  #dtype = element('span', { class: 'tree-dtype' });
  #shape = element('span', { class: 'tree-shape' });
  #size = element('span', { class: 'tree-size' });
  element = element('div', { role: 'treeitem', class: 'tree-row' },
    element('span', { class: 'tree-name' }, element('span', { class: 'tree-twisty', 'aria-hidden': 'true' }), this.#label),
    this.#dtype, this.#shape, this.#size);

  show({ node, level, position, siblings }, { index, top, expanded, active }) {
    const row = this.element;
    const branch = node.children !== null;
    const label = name(node.label);
    const dtype = branch ? '' : name(node.tensor.dtype);
    const extent = branch ? counted(node.count, 'tensor') : shape(node.tensor.shape);
    const size = bytes(node.bytes);
    setText(this.#label, label);
    setText(this.#dtype, dtype);
    setText(this.#shape, extent);
    setText(this.#size, size);
    setAttribute(row, 'id', `tree-row-${index}`);
    setAttribute(row, 'data-index', index);
    setAttribute(row, 'aria-level', level);
    setAttribute(row, 'aria-posinset', position);
    setAttribute(row, 'aria-setsize', siblings);
    setAttribute(row, 'aria-expanded', branch ? expanded : null);
    setAttribute(row, 'aria-selected', active);
    setAttribute(row, 'aria-label', [label, dtype, extent, size].filter(Boolean).join(', '));
    setAttribute(row, 'title', name(node.name));
    row.style.transform = `translateY(${top}px)`;
    row.style.setProperty('--level', String(level - 1));
  }
}

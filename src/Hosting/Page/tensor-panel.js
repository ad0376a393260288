// A model's tensors: read page by page, as a tree, narrowed by a filter.

import { ApiProblem, tensorPage } from './api.js';
import { element, setAttribute, setText } from './dom.js';
import { bytes, count, counted, name, shape } from './format.js';
import { branchIds, buildTree } from './tensor-tree.js';
import { TokenRefused } from './token.js';
import { TreeView } from './tree-view.js';

// The most that a host gives at a time, unless it is configured to give less.
const largestPage = 1000;
// Time for the next letter to be typed.
const pause = 200;
// So few roots are opened at once: a model's own name says nothing.
const openRoots = 4;
// A filter that leaves no more than this shows it all; more would only be another long list.
const openAll = 200;

export class TensorPanel {
  #tokens;
  #model = null;
  #key = null;
  #filter = '';
  #timer = 0;
  #abort = null;
  #whole = null;
  #wholeExpanded = new Set();
  #fresh = true;
  #refused = false;
  #limit = largestPage;
  #input = element('input', {
    id: 'tensor-filter', type: 'search', placeholder: 'Text, or a pattern such as *.q_proj.*', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', maxlength: '256',
    'aria-describedby': 'tensor-count', 'aria-controls': 'tensor-tree',
  });
  #count = element('p', { id: 'tensor-count', class: 'muted', role: 'status' });
  #tree = new TreeView('Tensors by name');
  #open = element('button', { type: 'button', class: 'button quiet' }, 'Open all');
  #close = element('button', { type: 'button', class: 'button quiet' }, 'Close all');
  #active = element('p', { class: 'tree-active', hidden: true });
  #emptyText = element('p');
  #retry = element('button', { type: 'button', class: 'button', hidden: true }, 'Read again');
  #empty = element('div', { class: 'empty' }, this.#emptyText, this.#retry);
  #tools = element('div', { class: 'tree-tools' },
    element('label', { for: 'tensor-filter', class: 'visually-hidden' }, 'Filter tensors by name'), this.#input, this.#open, this.#close);
  #frame = element('div', { class: 'tree-frame' },
    element('div', { class: 'tree-row tree-head', 'aria-hidden': 'true' },
      element('span', { class: 'tree-name' }, 'Name'), element('span', { class: 'tree-dtype' }, 'dtype'),
      element('span', { class: 'tree-shape' }, 'Shape'), element('span', { class: 'tree-size' }, 'Size')),
    this.#tree.element, this.#active);

  element = element('section', { class: 'panel tensors', 'aria-labelledby': 'tensors-heading' },
    element('div', { class: 'tensors-head' }, element('h3', { id: 'tensors-heading' }, 'Tensors'), this.#count), this.#tools, this.#frame, this.#empty);

  /** @param {import('./token.js').TokenKeeper} tokens */
  constructor(tokens) {
    this.#tokens = tokens;
    this.#tree.element.id = 'tensor-tree';
    this.#input.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#narrow(), pause);
    });
    this.#input.addEventListener('keydown', event => {
      if (event.key === 'ArrowDown') {
        event.preventDefault();
        this.#tree.element.focus();
      }
    });
    this.#open.addEventListener('click', () => this.#tree.expandAll(true));
    this.#close.addEventListener('click', () => this.#tree.expandAll(false));
    this.#retry.addEventListener('click', () => this.#read());
    // What was refused for want of a token is read with the new one.
    tokens.addEventListener('change', () => this.#refused && tokens.value !== null && this.#read());
    this.#tree.addEventListener('active', ({ detail }) => this.#describe(detail));
  }

  /** Shows a model's tensors; reads them again when the model has others. */
  show(model) {
    const listed = model.available || model.progress !== undefined || model.state === 'Reloading';
    // What a model has is fixed for a version; while it is loaded for the first time, by its plan.
    const key = listed ? JSON.stringify([model.name, model.version, model.tensorCount]) : null;
    const other = this.#model?.name !== model.name;
    this.#model = model;
    if (other) {
      clearTimeout(this.#timer);
      this.#input.value = '';
      this.#filter = '';
      this.#tree.exchangeExpanded([]);
      this.#tree.scrollToTop();
      this.#fresh = true;
    }

    if (key === null) {
      this.#forget();
      this.#say(nothing(model));
    } else if (key !== this.#key) {
      this.#forget();
      this.#key = key;
      this.#read();
    }
  }

  /** Ends what is being read; nothing of it stays. */
  close() {
    clearTimeout(this.#timer);
    this.#forget();
    this.#model = null;
    this.#input.value = '';
    this.#filter = '';
    this.#wholeExpanded = new Set();
    this.#tree.exchangeExpanded([]);
    this.#say('');
  }

  #forget() {
    this.#abort?.abort();
    this.#abort = null;
    this.#key = null;
    this.#whole = null;
    this.#refused = false;
  }

  #narrow() {
    const filter = this.#input.value.trim();
    if (filter === this.#filter || this.#key === null) {
      return;
    }

    if (this.#filter === '') {
      this.#wholeExpanded = this.#tree.exchangeExpanded([]);
    }

    this.#filter = filter;
    this.#tree.scrollToTop();
    if (filter === '') {
      this.#tree.exchangeExpanded(this.#wholeExpanded);
    }

    this.#read();
  }

  async #read() {
    this.#abort?.abort();
    const abort = this.#abort = new AbortController();
    this.#refused = false;
    const filter = this.#filter;
    if (filter === '' && this.#whole !== null) {
      this.#showTree(this.#whole, this.#whole.length, filter);
      this.#showCount(this.#whole, this.#whole.length, this.#whole.length, filter);
      return;
    }

    setAttribute(this.#tree.element, 'aria-busy', 'true');
    try {
      let tensors = [];
      let version = null;
      for (let more = true; more;) {
        const page = await this.#readPage(tensors.length, filter, abort.signal);
        // Pages of two versions make no list.
        if (version !== null && page.version !== version) {
          tensors = [];
          version = null;
          continue;
        }

        version = page.version;
        tensors = tensors.concat(page.tensors);
        more = page.tensors.length > 0 && tensors.length < page.matched;
        if (abort.signal.aborted) {
          return;
        }

        // The first page is there at once; a tree for each of hundreds would be work for nobody.
        if (!more || tensors.length === page.tensors.length) {
          this.#showTree(tensors, page.matched, filter);
        }

        this.#showCount(tensors, page.matched, page.total, filter);
      }

      if (filter === '') {
        this.#whole = tensors;
      }
    } catch (error) {
      if (!abort.signal.aborted) {
        this.#refused = error instanceof TokenRefused;
        this.#say(`The tensors cannot be read. ${error.message}`, true);
      }
    } finally {
      if (this.#abort === abort) {
        setAttribute(this.#tree.element, 'aria-busy', null);
      }
    }
  }

  async #readPage(offset, filter, signal) {
    const query = { offset, limit: this.#limit, filter, token: this.#tokens.value, signal };
    try {
      return await tensorPage(this.#model.name, query);
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 400 || this.#limit === null) {
        throw error;
      }

      this.#limit = null;
      return tensorPage(this.#model.name, { ...query, limit: null });
    }
  }

  #showTree(tensors, matched, filter) {
    const roots = buildTree(tensors);
    this.#tree.show(roots);
    if (filter !== '' && matched <= openAll) {
      this.#tree.exchangeExpanded(branchIds(roots));
    } else if (filter === '' && this.#fresh && roots.length <= openRoots) {
      this.#tree.exchangeExpanded(roots.filter(root => root.children !== null).map(root => root.id));
    }

    this.#fresh = false;

    this.#tools.hidden = false;
    this.#frame.hidden = tensors.length === 0;
    this.#empty.hidden = tensors.length > 0;
    this.#retry.hidden = true;
    setText(this.#emptyText, filter === '' ? 'This model has no tensors.' : `No name matches ${name(filter)}. A text is found anywhere in a name; * and ? make a pattern of the whole name.`);
  }

  #showCount(tensors, matched, total, filter) {
    const size = bytes(tensors.reduce((sum, tensor) => sum + tensor.bytes, 0));
    const read = tensors.length < matched ? `, ${count(tensors.length)} read` : `, ${size}`;
    setText(this.#count, filter === '' ? `${counted(total, 'tensor')}${read}` : `${count(matched)} of ${counted(total, 'tensor')}${matched > 0 ? read : ''}`);
  }

  // In place of the tree.
  #say(text, failed = false) {
    this.#tree.show([]);
    this.#tools.hidden = !failed;
    this.#frame.hidden = true;
    this.#empty.hidden = false;
    this.#retry.hidden = !failed;
    setText(this.#emptyText, text);
    setText(this.#count, '');
  }

  #describe(node) {
    this.#active.hidden = node === null;
    setText(this.#active, node === null ? '' : node.children === null
      ? `${name(node.name)} · ${name(node.tensor.dtype)} · ${shape(node.tensor.shape)} · ${count(node.bytes)} bytes`
      : `${name(node.name)} · ${counted(node.count, 'tensor')} · ${bytes(node.bytes)}`);
  }
}

function nothing(model) {
  return {
    Queued: 'It waits for another load. Its tensors are listed as soon as their plan is made.',
    Loading: `Its files are being ${model.download === undefined ? 'opened and planned' : 'downloaded'}. Its tensors are listed as soon as that is done${model.download === undefined ? '' : ' and they are opened'}.`,
    Unloading: 'Its memory is being freed.',
    Failed: 'It could not be loaded, so that there are no tensors.',
  }[model.state] ?? 'It is not loaded, so that there are no tensors.';
}

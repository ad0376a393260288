// One model: what it is doing, how far it is, what went wrong, and what can be asked of it.

import { element, setAttribute, setText } from './dom.js';
import { bytes, count, counted, moment, name, percent, rate, wait } from './format.js';
import { Throughput } from './throughput.js';

const busy = new Set(['Queued', 'Loading', 'Reloading', 'Unloading']);

const layouts = { Checkpoint: 'as stored', Model: 'model layout', Sharded: 'sharded' };

/** What a host would refuse with a conflict is not offered. */
const sensible = {
  load: model => !model.available && !['Queued', 'Loading', 'Unloading'].includes(model.state),
  reload: model => model.available && ['Loaded', 'Failed'].includes(model.state),
  unload: model => model.available && model.state !== 'Unloading' || ['Queued', 'Loading', 'Reloading'].includes(model.state)
    || model.failure?.nextAttemptAt !== undefined,
};

export class ModelCard {
  #name = element('button', { type: 'button', class: 'card-name' });
  #stateText = element('span');
  #state = element('span', { class: 'state' }, element('span', { class: 'state-mark', 'aria-hidden': 'true' }), this.#stateText);
  #kind = element('p', { class: 'card-kind muted' });
  #path = element('p', { class: 'card-path muted' });
  #bar = element('progress', { max: '1' });
  #share = element('strong', { class: 'progress-share' });
  #amount = element('span');
  #tensors = element('span');
  #rate = element('span');
  #left = element('span');
  #throughput = new Throughput();
  #progress = element('div', { class: 'card-progress' },
    this.#bar,
    element('p', { class: 'progress-line' }, this.#share, this.#amount, this.#tensors),
    element('div', { class: 'progress-line' }, this.#rate, this.#throughput.element, this.#left));
  #facts = element('dl', { class: 'facts' });
  #failureCode = element('strong');
  #failureWhen = element('span', { class: 'muted' });
  #failureText = element('p', { class: 'failure-text' });
  #failureNext = element('p', { class: 'failure-next' });
  #failure = element('div', { class: 'failure' }, element('p', null, this.#failureCode, ' ', this.#failureWhen), this.#failureText, this.#failureNext);
  #note = element('p', { class: 'note', role: 'alert', hidden: true });
  #buttons = {};
  #actions;
  #model = null;
  #factsShown = '';

  /**
   * @param {{ select: (name: string) => void, control: (name: string, action: string) => Promise<void> }} host
   */
  constructor(host) {
    this.#name.addEventListener('click', () => host.select(this.#model.name));
    for (const action of ['load', 'reload', 'unload']) {
      this.#buttons[action] = element('button', { type: 'button', class: 'button', click: () => this.#act(host, action) }, action[0].toUpperCase() + action.slice(1));
    }

    this.#actions = element('div', { class: 'card-actions' }, ...Object.values(this.#buttons));
    this.element = element('li', { class: 'card' },
      element('div', { class: 'card-head' }, element('h3', null, this.#name), this.#state),
      this.#kind, this.#path, this.#progress, this.#facts, this.#failure, this.#note, this.#actions);
  }

  /** Shows a model as the host has described it. */
  show(model, { selected, canControl, now }) {
    const changed = this.#model?.state !== model.state;
    this.#model = model;
    setText(this.#name, name(model.name));
    setAttribute(this.#name, 'aria-pressed', selected);
    this.element.classList.toggle('selected', selected);
    setAttribute(this.element, 'data-state', model.state);
    setText(this.#stateText, model.state);
    setText(this.#kind, [model.format, layouts[model.layout] ?? model.layout, model.device, model.required ? 'required' : 'optional'].filter(Boolean).map(name).join(' · '));
    setText(this.#path, name(model.path ?? ''));
    this.#path.title = name(model.path ?? '');
    this.#path.hidden = !model.path;
    this.#showProgress(model);
    this.#showFacts(model);
    this.#showFailure(model, now);
    if (changed) {
      this.#tell(null);
    }

    this.#actions.hidden = !canControl;
    for (const [action, button] of Object.entries(this.#buttons)) {
      // Not disabled: that would take the focus away from who has just pressed it.
      setAttribute(button, 'aria-disabled', sensible[action](model) ? null : 'true');
      setAttribute(button, 'aria-label', `${button.textContent} ${name(model.name)}`);
    }
  }

  /** Shows what depends on the time alone. */
  tick(now) {
    this.#showFailure(this.#model, now);
  }

  async #act(host, action) {
    const button = this.#buttons[action];
    if (button.getAttribute('aria-disabled') === 'true' || button.getAttribute('aria-busy') === 'true') {
      return;
    }

    setAttribute(button, 'aria-busy', 'true');
    this.#tell(null);
    try {
      await host.control(this.#model.name, action);
    } catch (error) {
      this.#tell(`${button.textContent} was not accepted. ${error.message}`);
    } finally {
      setAttribute(button, 'aria-busy', null);
    }
  }

  #tell(text) {
    this.#note.hidden = text === null;
    setText(this.#note, text ?? '');
  }

  #showProgress(model) {
    const { download, progress } = model;
    this.#progress.hidden = !busy.has(model.state);
    this.#progress.classList.toggle('planned', (download ?? progress) !== undefined);
    setAttribute(this.#bar, 'aria-label', `${download === undefined ? 'Progress' : 'Download'} of ${name(model.name)}`);
    if (download !== undefined) {
      // Before anything is read: a reload, which knows what it is going to read, waits for it too.
      this.#follow({ ...download, done: download.bytes }, 'downloaded', `${count(download.files)} of ${counted(download.totalFiles, 'file')}`);
      return;
    }

    if (progress === undefined) {
      this.#throughput.clear();
      setAttribute(this.#bar, 'value', null);
      setText(this.#share, '');
      setText(this.#tensors, '');
      setText(this.#amount, { Queued: 'Waits for another load', Unloading: 'Memory is being freed' }[model.state] ?? 'Opening and planning');
      return;
    }

    this.#follow({ ...progress, done: progress.bytesRead }, '', `${count(progress.tensorsLoaded)} of ${counted(progress.totalTensors, 'tensor')}`);
  }

  #follow({ done, totalBytes, fraction, bytesPerSecond = 0 }, what, things) {
    this.#throughput.add(done, bytesPerSecond, what);
    setAttribute(this.#bar, 'value', fraction);
    setText(this.#share, percent(fraction));
    setText(this.#amount, `${bytes(done)} of ${bytes(totalBytes)} ${what}`.trim());
    setText(this.#tensors, things);
    setText(this.#rate, rate(bytesPerSecond));
    const remaining = totalBytes - done;
    setText(this.#left, bytesPerSecond > 0 && remaining > 0 ? `${wait(remaining / bytesPerSecond)} left` : '');
  }

  #showFacts(model) {
    const facts = [];
    if (model.memoryBytes > 0) {
      facts.push(['Memory', bytes(model.memoryBytes)]);
    }

    if (model.tensorCount > 0 && model.progress === undefined) {
      facts.push(['Tensors', count(model.tensorCount)]);
    }

    if (model.version > 0) {
      facts.push(['Version', count(model.version)]);
    }

    if (model.loadedAt && model.available) {
      facts.push(['Loaded', moment(model.loadedAt)]);
    }

    const text = JSON.stringify(facts);
    if (text !== this.#factsShown) {
      this.#factsShown = text;
      this.#facts.replaceChildren(...facts.map(([term, value]) => element('div', null, element('dt', null, term), element('dd', null, value))));
    }

    this.#facts.hidden = facts.length === 0;
  }

  #showFailure(model, now) {
    const failure = model.failure;
    this.#failure.hidden = failure === undefined;
    if (failure === undefined) {
      return;
    }

    setText(this.#failureCode, `${failure.isReload ? 'Reload failed' : 'Load failed'}: ${name(failure.code)}`);
    setText(this.#failureWhen, `${moment(failure.at)}${failure.attempt > 1 ? `, attempt ${count(failure.attempt)}` : ''}`);
    setText(this.#failureText, name(failure.message));
    const left = failure.nextAttemptAt ? (Date.parse(failure.nextAttemptAt) - now) / 1000 : null;
    const kept = failure.isReload && model.available ? `Version ${count(model.version)} is still served.` : '';
    setText(this.#failureNext, [kept, left === null ? '' : left > 0 ? `Next try in ${wait(left)}.` : 'Next try now.'].filter(Boolean).join(' '));
    this.#failureNext.hidden = this.#failureNext.textContent === '';
  }
}

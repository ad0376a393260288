// Throughput over time, as a small line.

import { drawing, setAttribute } from './dom.js';

// A minute of progress at four a second would be 240; half of that is what the width can show.
const longest = 120;
const width = 120;
const height = 28;

/** What the host has said of the throughput of a load, or of its download; one that begins anew begins an empty line. */
export class Throughput {
  #line = drawing('polyline', { class: 'spark-line', points: '' });
  #area = drawing('polygon', { class: 'spark-area', points: '' });
  #rates = [];
  #bytes = -1;
  #what = '';

  /** The drawing. What it shows is also written beside it. */
  element = drawing('svg', { class: 'spark', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.#area, this.#line);

  /**
   * Takes a look at the progress; one that is the same as the last adds nothing.
   * @param {number} done Bytes of the whole that are done.
   * @param {number} bytesPerSecond
   * @param {string} what What is done to them; something else begins an empty line.
   */
  add(done, bytesPerSecond, what) {
    if (done < this.#bytes || what !== this.#what) {
      this.clear();
      this.#what = what;
    }

    if (done !== this.#bytes) {
      this.#bytes = done;
      this.#rates.push(bytesPerSecond);
      if (this.#rates.length > longest) {
        this.#rates.shift();
      }

      this.#draw();
    }
  }

  clear() {
    this.#rates = [];
    this.#bytes = -1;
    this.#draw();
  }

  #draw() {
    const highest = Math.max(...this.#rates, 1);
    const step = width / Math.max(this.#rates.length - 1, 1);
    const points = this.#rates.map((rate, index) => `${(index * step).toFixed(1)},${(height - 1 - (rate / highest) * (height - 3)).toFixed(1)}`);
    const drawn = points.length > 1;
    setAttribute(this.#line, 'points', drawn ? points.join(' ') : '');
    setAttribute(this.#area, 'points', drawn ? `0,${height} ${points.join(' ')} ${width},${height}` : '');
  }
}

// How numbers, times and names are written.

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const counts = new Intl.NumberFormat('en');
const times = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const years = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

// Controls, what turns the direction of text or cannot be seen, and spaces other than the space: a name must not look like another.
// U+2800 is a Braille pattern without a dot, which no class of Unicode has as blank.
const unseen = /[\p{C}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Z}/gu;

/** A number of bytes with three digits or so: `13.5 GiB`. */
export function bytes(value) {
  let unit = 0;
  let scaled = value;
  // 1023.96 KiB would be written 1024.0 KiB.
  while (unit + 1 < units.length && scaled >= (unit === 0 ? 1024 : 1023.95)) {
    scaled /= 1024;
    unit += 1;
  }

  return `${unit === 0 ? Math.round(scaled) : scaled.toFixed(scaled < 100 ? 1 : 0)} ${units[unit]}`;
}

/** Bytes a second. */
export function rate(value) {
  return `${bytes(value)}/s`;
}

/** A count with its thousands apart: `10,000`. */
export function count(value) {
  return counts.format(value);
}

/** A count and what is counted; the word gets an s unless there is one. */
export function counted(value, word) {
  return `${count(value)} ${word}${value === 1 ? '' : 's'}`;
}

/** A share of 1 in whole percent, rounded down: 100% is said only when all is there. */
export function percent(fraction) {
  return `${Math.floor(Math.min(Math.max(fraction, 0), 1) * 100)}%`;
}

/** A share in a table, rounded: small ones are not called nothing. */
export function share(fraction) {
  return fraction > 0 && fraction < 0.001 ? '< 0.1%' : `${(fraction * 100).toFixed(1)}%`;
}

/** Seconds as people say them: `38 ms`, `4.2 s`, `3 min 5 s`, `2 h 4 min`. */
export function duration(seconds) {
  if (seconds < 1) {
    return `${Math.round(seconds * 1000)} ms`;
  }

  if (seconds < 59.95) {
    return `${seconds.toFixed(1)} s`;
  }

  const whole = Math.round(seconds);
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A time that is waited for, in whole seconds: tenths would flicker. */
export function wait(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return whole < 60 ? `${whole} s` : duration(whole);
}

/** A moment: the time of day, behind the day unless that is today, with the year unless it is this one. */
export function moment(iso) {
  const at = new Date(iso);
  const today = new Date();
  if (at.toDateString() === today.toDateString()) {
    return times.format(at);
  }

  return `${(at.getFullYear() === today.getFullYear() ? days : years).format(at)}, ${times.format(at)}`;
}

/** A shape: `4096 × 4096`; a tensor without dimensions is a scalar. */
export function shape(dimensions) {
  return dimensions.length === 0 ? 'scalar' : dimensions.join(' × ');
}

/** A name from a file, with what cannot be seen written out: a right-to-left override is `\u202e`, a tag `\u{e0041}`. */
export function name(text) {
  return text.replace(unseen, character => {
    const code = character.codePointAt(0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
  });
}

// Elements made by script. Text goes in as text nodes alone, never as markup: names of tensors come from files of strangers.

const svgNamespace = 'http://www.w3.org/2000/svg';

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] `class` and attributes by their names; functions are listeners of the event; null, undefined and false are left out.
 * @param {...(Node | string | null | undefined)} children Strings become text.
 * @returns {HTMLElement}
 */
export function element(tag, properties, ...children) {
  return furnish(document.createElement(tag), properties, children);
}

/**
 * Makes an element of a drawing.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string | null | undefined)} children
 * @returns {SVGElement}
 */
export function drawing(tag, properties, ...children) {
  return furnish(document.createElementNS(svgNamespace, tag), properties, children);
}

/** Sets the text where it differs: a reader's selection, and what assistive technology is reading, stay where nothing has changed. */
export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** Sets an attribute where it differs; null removes it. */
export function setAttribute(node, name, value) {
  if (value === null) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, String(value));
  }
}

/** The element of an id in the page's own markup. */
export function byId(id) {
  return document.getElementById(id);
}

function furnish(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (typeof value === 'function') {
      node.addEventListener(name, value);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }

  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

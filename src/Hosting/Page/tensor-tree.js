// Names with dots as a tree, with totals.

// Numbers by their value: layers.2 comes before layers.10.
const natural = new Intl.Collator('en', { numeric: true });
// Levels of the tree; what is deeper is one line. Models have about ten, and a name of thousands of dots would overflow the stack.
const deepest = 64;

/**
 * A branch (`children` is an array) or a tensor (`tensor` is what the host says of it).
 * @typedef {{ id: string, label: string, name: string, children: TreeNode[] | null, tensor: any, count: number, bytes: number }} TreeNode
 */

/**
 * Makes a tree. A branch that has a single child is one with it: `self_attn.q_proj.weight` is one line, not three.
 * @param {{ name: string, dtype: string, shape: number[], bytes: number }[]} tensors
 * @returns {TreeNode[]} The roots, in natural order.
 */
export function buildTree(tensors) {
  const root = { parts: new Map(), leaves: [] };
  for (const tensor of tensors) {
    const segments = tensor.name.split('.');
    const label = segments.splice(Math.min(segments.length, deepest) - 1).join('.');
    let branch = root;
    for (const segment of segments) {
      let next = branch.parts.get(segment);
      if (next === undefined) {
        branch.parts.set(segment, next = { parts: new Map(), leaves: [] });
      }

      branch = next;
    }

    branch.leaves.push({ label, tensor });
  }

  return children(root, '');
}

/**
 * The lines that are to be seen.
 * @param {TreeNode[]} roots
 * @param {(id: string) => boolean} isExpanded
 * @returns {{ node: TreeNode, level: number, position: number, siblings: number, parent: number }[]} `level` and `position` count from 1; `parent` is an index into the lines, -1 for roots.
 */
export function visibleLines(roots, isExpanded) {
  const lines = [];
  const add = (nodes, level, parent) => nodes.forEach((node, index) => {
    lines.push({ node, level, position: index + 1, siblings: nodes.length, parent });
    if (node.children !== null && isExpanded(node.id)) {
      add(node.children, level + 1, lines.length - 1);
    }
  });
  add(roots, 1, -1);
  return lines;
}

/** The ids of all branches. */
export function branchIds(nodes, ids = []) {
  for (const node of nodes) {
    if (node.children !== null) {
      ids.push(node.id);
      branchIds(node.children, ids);
    }
  }

  return ids;
}

function children(branch, prefix) {
  const nodes = branch.leaves.map(({ label, tensor }) => ({
    id: `tensor:${tensor.name}`, label, name: tensor.name, children: null, tensor, count: 1, bytes: tensor.bytes,
  }));
  for (const [segment, part] of branch.parts) {
    nodes.push(join(segment, prefix + segment, children(part, `${prefix}${segment}.`)));
  }

  return nodes.sort((left, right) => natural.compare(left.label, right.label) || (left.id < right.id ? -1 : 1));
}

function join(label, name, below) {
  // The id is that of the uppermost of those that are one: it stays when more names arrive and they are no longer.
  const id = `branch:${name}`;
  if (below.length === 1) {
    const only = below[0];
    return { ...only, id: only.children === null ? only.id : id, label: `${label}.${only.label}` };
  }

  return {
    id, label, name, children: below, tensor: null,
    count: below.reduce((sum, node) => sum + node.count, 0),
    bytes: below.reduce((sum, node) => sum + node.bytes, 0),
  };
}

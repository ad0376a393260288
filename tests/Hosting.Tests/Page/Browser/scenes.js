// What a host may say: documents of the HTTP contract, for the cases and for the pictures.

const kibi = 1024;
export const gibi = kibi ** 3;

/** A model that is loaded; what differs is given. */
export function model(name, differences = {}) {
  return {
    name,
    state: 'Loaded',
    since: '2026-03-09T12:03:22Z',
    required: true,
    available: true,
    path: `/models/${name}`,
    layout: 'Model',
    device: 'cuda:0',
    format: 'safetensors',
    tensorCount: 291,
    memoryBytes: 13_476_839_424,
    dtypes: [{ dtype: 'BF16', tensors: 226, bytes: 13_343_129_600 }, { dtype: 'F32', tensors: 65, bytes: 133_709_824 }],
    version: 3,
    loadedAt: '2026-03-09T12:03:22Z',
    lastLoad: {
      isReload: false,
      seconds: 4.2,
      bytesRead: 13_476_839_424,
      bytesPerSecond: 3_208_771_291,
      oldLayers: 0,
      stages: [
        { name: 'open', seconds: 0.04 },
        { name: 'plan', seconds: 0.11 },
        { name: 'touch', seconds: 0.52 },
        { name: 'read', seconds: 1.71 },
        { name: 'hash', seconds: 0.36 },
        { name: 'upload', seconds: 0.98 },
        { name: 'decode', seconds: 0.4 },
        { name: 'process', seconds: 0.02 },
      ],
    },
    ...differences,
  };
}

/** A model of which nothing is in memory. */
export function unloaded(name, differences = {}) {
  return model(name, {
    state: 'Unloaded', available: false, tensorCount: 0, memoryBytes: 0, dtypes: [], version: 0, format: undefined, loadedAt: undefined, lastLoad: undefined, ...differences,
  });
}

/** A model whose load is so far. */
export function loading(name, fraction, differences = {}) {
  const totalBytes = 13_476_839_424;
  return unloaded(name, {
    state: 'Loading',
    format: 'safetensors',
    tensorCount: 291,
    dtypes: [{ dtype: 'BF16', tensors: 226, bytes: 13_343_129_600 }, { dtype: 'F32', tensors: 65, bytes: 133_709_824 }],
    progress: {
      bytesRead: Math.round(totalBytes * fraction), totalBytes, tensorsLoaded: Math.floor(291 * fraction), totalTensors: 291, fraction,
      bytesPerSecond: 2.6 * gibi + 0.7 * gibi * Math.sin(fraction * 23),
    },
    ...differences,
  });
}

/** A model whose download is so far; a load waits for it. */
export function downloading(name, fraction, differences = {}) {
  const totalBytes = 13_478_104_576;
  return unloaded(name, {
    state: 'Loading',
    path: `hf://acme/${name}`,
    download: { files: Math.floor(7 * fraction), totalFiles: 7, bytes: Math.round(totalBytes * fraction), totalBytes, fraction, bytesPerSecond: 110 * kibi ** 2 * (1 + 0.2 * Math.sin(fraction * 31)) },
    ...differences,
  });
}

export const devices = [
  { id: 'host', kind: 'Host', name: 'AMD EPYC 9654 96-Core Processor', liveBytes: 4_831_838_208, liveAllocations: 148, totalBytes: 128 * gibi, freeBytes: 96.4 * gibi },
  { id: 'cuda:0', kind: 'Cuda', name: 'NVIDIA H200', liveBytes: 13_476_839_424, liveAllocations: 227, totalBytes: 139.8 * gibi, freeBytes: 118.2 * gibi },
];

/** The whole document. */
export function document(models, differences = {}) {
  return { schema: 'ilgpu-loader/models/1', version: '0.1.0', canControl: true, needsToken: false, models, devices, ...differences };
}

/** The tensors of a model of that many layers, nine in each, in no natural order. */
export function tensors(layers) {
  const named = [['model.embed_tokens.weight', [32_000, 4096]], ['lm_head.weight', [32_000, 4096]], ['model.norm.weight', [4096]]];
  for (let layer = layers - 1; layer >= 0; layer -= 1) {
    const prefix = `model.layers.${layer}`;
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'o_proj']) {
      named.push([`${prefix}.self_attn.${part}.weight`, [4096, 4096]]);
    }

    named.push([`${prefix}.mlp.gate_proj.weight`, [11_008, 4096]], [`${prefix}.mlp.up_proj.weight`, [11_008, 4096]], [`${prefix}.mlp.down_proj.weight`, [4096, 11_008]]);
    named.push([`${prefix}.input_layernorm.weight`, [4096]], [`${prefix}.post_attention_layernorm.weight`, [4096]]);
  }

  return named.map(([name, shape]) => ({ name, dtype: shape.length === 1 ? 'F32' : 'BF16', shape, bytes: shape.reduce((product, length) => product * length, shape.length === 1 ? 4 : 2) }));
}

/** A tensor of one byte for each of its elements. */
export function tensor(name, shape = [2, 3]) {
  return { name, dtype: 'U8', shape, bytes: shape.reduce((product, length) => product * length, 1) };
}

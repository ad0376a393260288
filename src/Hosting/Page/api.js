// The host's HTTP face. Addresses are relative to the page, so that it works behind a proxy that puts a folder before it.

import { TokenRefused } from './token.js';

/** An answer that is not a success, with what its problem document says. */
export class ApiProblem extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    /** Seconds after which the host wants to be asked again; null where it does not say. */
    this.retryAfter = retryAfter;
  }
}

/**
 * Asks for something.
 * @param {string} path Below the page, such as `api/models`.
 * @param {{ method?: string, token?: string | null, signal?: AbortSignal, accept?: string }} [options]
 * @returns {Promise<Response>} A success.
 * @throws {TokenRefused} It was answered 401.
 * @throws {ApiProblem} It was answered with another failure.
 * @throws {Error} It was not answered; a `DOMException` where the signal ended it.
 */
export async function request(path, { method = 'GET', token = null, signal, accept = 'application/json' } = {}) {
  const headers = { Accept: accept };
  if (token !== null) {
    headers.Authorization = `Bearer ${token}`;
  }

  const response = await reach(path, { method, headers, signal });
  if (response.status === 401) {
    throw new TokenRefused(token !== null);
  }

  if (!response.ok) {
    throw new ApiProblem(response.status, await describe(response), Number.parseFloat(response.headers.get('Retry-After')) || null);
  }

  return response;
}

/**
 * One page of a model's tensors; a limit of null leaves the size to the host.
 * @param {string} model
 * @param {{ offset: number, limit: number | null, filter: string, token: string | null, signal: AbortSignal }} query
 */
export async function tensorPage(model, { offset, limit, filter, token, signal }) {
  const query = new URLSearchParams({ offset });
  if (limit !== null) {
    query.set('limit', limit);
  }

  if (filter !== '') {
    query.set('filter', filter);
  }

  const response = await request(`api/models/${encodeURIComponent(model)}/tensors?${query}`, { token, signal });
  return response.json();
}

/**
 * Asks the host to load, reload or unload a model; the work goes on after the answer.
 * @param {string} model
 * @param {'load' | 'reload' | 'unload'} action
 * @param {string} token
 */
export async function control(model, action, token) {
  const response = await request(`api/models/${encodeURIComponent(model)}/${action}`, { method: 'POST', token });
  return response.json();
}

async function reach(path, options) {
  try {
    // With cookies: an application that mounts the page may ask for its own, and where none are asked for there are none.
    return await fetch(path, { ...options, cache: 'no-store', credentials: 'same-origin', redirect: 'error' });
  } catch (error) {
    // What browsers say of it by themselves names neither the host nor what to do.
    throw error instanceof TypeError ? new Error(`The host cannot be reached (${error.message}). Try again when it is there.`, { cause: error }) : error;
  }
}

async function describe(response) {
  const fallback = `The host answered ${response.status} ${response.statusText}`.trim() + '.';
  if (!(response.headers.get('Content-Type') ?? '').includes('json')) {
    return fallback;
  }

  try {
    const problem = await response.json();
    return problem.detail ?? problem.title ?? fallback;
  } catch {
    return fallback;
  }
}

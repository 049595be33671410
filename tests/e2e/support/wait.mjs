// Waiting for conditions, never for time alone: every wait has a deadline and says what it was for.
import { setTimeout as sleep } from 'node:timers/promises';

/** Asks `probe` until it gives something truthy and returns that. */
export async function until(probe, { ms = 5000, every = 5, what = 'a condition' } = {}) {
  const deadline = performance.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > deadline) {
      throw new Error(`waited ${ms} ms in vain for ${typeof what === 'function' ? what() : what}`);
    }
    await sleep(every);
  }
}

/** The promise's value, or an error after `ms`. */
export async function within(promise, ms, what) {
  const timer = new AbortController();
  try {
    return await Promise.race([
      promise,
      sleep(ms, undefined, { signal: timer.signal }).then(() => {
        throw new Error(`waited ${ms} ms in vain for ${what}`);
      }, () => new Promise(() => {})),
    ]);
  } finally {
    timer.abort();
  }
}

/** Milliseconds that `work` took, and its value. */
export async function timed(work) {
  const begin = performance.now();
  const value = await work();
  return { ms: performance.now() - begin, value };
}

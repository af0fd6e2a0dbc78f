/**
 * Runs before each test file: sets the main module, and checks after every test that it left nothing.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach } from 'vitest';
import { type Snapshot, takeSnapshot, waitUntilClean } from './leaks.ts';

// Before the library looks: its children import this file, not vitest's worker.
process.argv[1] = fileURLToPath(new URL('../fixtures/dist/main.js', import.meta.url));

let before: Snapshot;

beforeEach(async () => {
  before = await takeSnapshot();
});

afterEach(async () => {
  await waitUntilClean(before);
});

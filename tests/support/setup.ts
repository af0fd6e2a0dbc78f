/**
 * Runs before each test file: sets the main module, and checks after every test that it left nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach } from 'vitest';
import { type Snapshot, takeSnapshot, waitUntilClean } from './leaks.ts';

// Before the library looks: its children import this file, not vitest's worker.
process.argv[1] = fileURLToPath(new URL('../fixtures/dist/main.js', import.meta.url));

// A temporary folder for this file and its children alone: what appears in it is theirs.
const folder = mkdtempSync(join(tmpdir(), 'mp-tests-'));
process.env.TMPDIR = folder;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let before: Snapshot;

beforeEach(async () => {
  before = await takeSnapshot();
});

afterEach(async () => {
  await waitUntilClean(before);
});

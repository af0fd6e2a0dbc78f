/**
 * Runs before each test file: checks after every test that it left nothing.
 */
import './main_module.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectNoLeftovers } from 'multiprocessing/testing';
import { afterAll, afterEach, beforeEach } from 'vitest';

// A temporary folder for this file and its children alone: what appears in it is theirs.
const folder = mkdtempSync(join(tmpdir(), 'mp-tests-'));
process.env.TMPDIR = folder;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

expectNoLeftovers({ beforeEach, afterEach, segments: /./ });

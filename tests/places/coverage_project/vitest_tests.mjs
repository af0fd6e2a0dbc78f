import { test } from 'vitest';
import { run } from './run.mjs';

test('a branch here and one in the child', run);

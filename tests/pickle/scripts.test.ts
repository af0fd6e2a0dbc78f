/** Which script a function stands in, and what of that is asked of V8's debugger. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

const folder = fileURLToPath(new URL('../fixtures/coverage/', import.meta.url));

/** @param calls how many its top level makes: of a long one V8 does not know that it has run, nor how long the script is */
const moduleOf = (calls: number) => `import { writeSync } from 'node:fs';
export function used() {}
function hidden() { writeSync(1, 'in the child\\n'); }
${'used();\n'.repeat(calls)}`;

describe('a module that a loader has added an export to', () => {
  // No other method than spawn goes with a loader on a thread.
  test.each([1, 1000])('is read as it was loaded: %i calls', async (calls) => {
    const file = `${scratchFile('hidden')}.mjs`;
    writeFileSync(file, moduleOf(calls));
    const flags = ['--import', `${folder}appending.mjs`];
    const args = [...flags, `${folder}appended.mjs`, 'spawn', file];
    expect(await runNode(args)).toMatchObject({ code: 0, stdout: 'in the child\n' });
  });
});

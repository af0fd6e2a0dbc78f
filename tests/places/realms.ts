/** Test files of jest have one library, and no import of it starts the process again. */
import { match } from 'node:assert';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check } from '../package/check.ts';
import { install, outputOf, type Topic } from './topic.ts';

export const realms: Topic = {
  async run({ scratch, node }) {
    const project = join(scratch, 'realms');
    cpSync(fileURLToPath(new URL('programs/realms', import.meta.url)), project, {
      recursive: true,
    });
    if (!(await install(project, { jest: '30.2.0' }))) return undefined;
    await check('two test files in one process of jest', async () => {
      const jest = 'node_modules/jest/bin/jest.js';
      match(await outputOf(project, node, [jest, '-i']), /^Tests: +4 passed, 4 total$/m);
    });
    return undefined;
  },
};

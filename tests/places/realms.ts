/** Test files of jest have one library, and no import of it starts the process again. */
import { match } from 'node:assert';
import { check } from '../package/check.ts';
import { outputOf, type Topic } from './topic.ts';

export const realms: Topic = {
  packages: { jest: '30.2.0' },
  async checks(project) {
    await check('two test files in one process of jest', async () => {
      const jest = 'node_modules/jest/bin/jest.js';
      match(
        await outputOf(project, process.execPath, [jest, '-i']),
        /^Tests: +4 passed, 4 total$/m,
      );
    });
  },
};

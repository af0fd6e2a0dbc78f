/** Hooks of `require` that compile TypeScript, under every start method. */
import { strictEqual } from 'node:assert';
import { check } from '../package/check.ts';
import { outputOf, type Topic } from './topic.ts';

const METHODS = process.platform === 'linux' ? ['spawn', 'forkserver', 'fork'] : ['spawn', 'fork'];
const HOOKS = ['ts-node/register', 'ts-node/register/transpile-only', '@swc-node/register'];

export const loaders: Topic = {
  packages: {
    'ts-node': '10.9.2',
    typescript: '5.9.3',
    '@swc-node/register': '1.12.1',
    '@swc/core': '1.15.3',
  },
  async checks(project) {
    for (const hook of HOOKS) {
      for (const method of METHODS) {
        await check(`node -r ${hook} main.ts, ${method}`, async () => {
          const output = await outputOf(project, process.execPath, ['-r', hook, 'main.ts', method]);
          strictEqual(output, 'High late\ntwo B\nholder 3\n');
        });
      }
    }
  },
};

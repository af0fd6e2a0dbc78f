/** Bun and Deno are told apart by the library itself, as an ES module and by `require`. */
import { match } from 'node:assert';
import { check } from '../package/check.ts';
import { outputOf, type Topic } from './topic.ts';

const COMMANDS = { bun: [], deno: ['run', '-A'] };

export const runtimes: Topic = {
  packages: { bun: '1.4.5', deno: '2.9.6' },
  async checks(project) {
    for (const [runtime, words] of Object.entries(COMMANDS)) {
      for (const program of ['tells.mjs', 'tells.cjs']) {
        await check(`${runtime} ${program}`, async () => {
          const command = `${project}/node_modules/.bin/${runtime}`;
          const output = await outputOf(project, command, [...words, program]);
          match(output, new RegExp(`^ERR_MP_PLATFORM .*needs Node.js, and this is ${runtime} `));
        });
      }
    }
  },
};

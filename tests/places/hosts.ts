/** Programs that something else than `node FILE` starts: a process manager, a single executable. */
import { strictEqual } from 'node:assert';
import { copyFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check } from '../package/check.ts';
import { outputOf, type Topic } from './topic.ts';

const ALL = 'child of spawn\nchild of forkserver\nchild of fork\n';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Makes a single executable of single.cjs. @returns its path */
async function makeExecutable(project: string): Promise<string> {
  const config = { main: 'single.cjs', output: 'single.blob', disableExperimentalSEAWarning: true };
  writeFileSync(join(project, 'single.json'), JSON.stringify(config));
  await outputOf(project, process.execPath, ['--experimental-sea-config', 'single.json']);
  const path = join(project, 'single');
  copyFileSync(realpathSync(process.execPath), path);
  const postject = 'node_modules/postject/dist/cli.js';
  const args = [postject, path, 'NODE_SEA_BLOB', 'single.blob', '--sentinel-fuse', FUSE];
  await outputOf(project, process.execPath, args);
  return path;
}

export const hosts: Topic = {
  packages: { pm2: '7.0.4', postject: '1.0.0-alpha.6' },
  async checks(project) {
    for (const app of ['app.mjs', 'app.cjs']) {
      await check(`pm2: ${app}`, async () => {
        // As pm2 starts a program in its fork mode.
        const container = 'node_modules/pm2/lib/ProcessContainerFork.js';
        const env = [`pm_exec_path=${join(project, app)}`, 'name=app', 'pm_id=0'];
        strictEqual(await outputOf(project, 'env', [...env, process.execPath, container]), ALL);
      });
    }
    await check('a single executable', async () => {
      const output = await outputOf(project, await makeExecutable(project), []);
      const child = (context: string) => `child of ${context}\n0\n`;
      strictEqual(
        output,
        'the program, true\n' +
          `by value\n${child('<SpawnContext>')}by value\n${child('<ForkContext emulated>')}${child('<SpawnContext>')}`,
      );
    });
  },
};

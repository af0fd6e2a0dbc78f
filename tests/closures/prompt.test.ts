/**
 * Functions of no module, by value: those of the prompt, of `node -e` and `node -p`, and of classic scripts. Their variables
 * are globals, and so are the built-in modules at the prompt.
 */

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { running } from '../support/programs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
let folder = '';

beforeAll(() => {
  // Inside of the project, so that `multiprocessing` is found from there.
  mkdirSync(join(root, '.cache'), { recursive: true });
  folder = mkdtempSync(join(root, '.cache/prompt-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Lines of a classic script. `work` uses a function, a class, variables of both kinds, and what is there without being declared. */
const script = [
  'var times = 5;',
  'let changed = 1;',
  'globalThis.assigned = { value: 7 };',
  'function increase() { changed++; return times + changed; }',
  'const get = () => changed;',
  'class Joined { toString() { return String(times); } }',
  'function work(answer) { increase(); times++; answer.putSync([increase(), get(), String(new Joined()), assigned.value, typeof globalThis.times]); }',
];
const answer = '[9,3,"6",7,"undefined"]';
/** Only where people type are these globals. */
const typed =
  'function workWithModules(answer) { answer.putSync([path.join("a", "b"), fs.existsSync("/"), typeof require("os").cpus, typeof Buffer]); }';
const typedAnswer = '["a/b",true,"function","function"]';

const run = (method: string, work: string, mp = 'require("multiprocessing")') =>
  `(async (mp) => { const ctx = mp.getContext("${method}"); if (!ctx.emulated) ctx.allowClosures = true; const answer = ctx.SimpleQueue(); ` +
  `const p = new ctx.Process({ target: ${work}, args: [answer] }); await p.start(); await p.join(); ` +
  'console.log(p.exitcode === 0 ? JSON.stringify(answer.getSync()) : p.exitcode); process.exit(); })' +
  `(${mp}).catch((error) => { console.log(error); process.exit(); });`;

async function node(args: readonly string[], input: readonly string[] = []): Promise<string[]> {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  // A prompt that has come to the end of its input ends: it is left open until the program says that it is done.
  for (const line of input) child.stdin.write(`${line}\n`);
  const { stdout, stderr } = await running(child).outcome;
  child.stdin.destroy();
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => /^(> )*(\[|\w*Error|\d)/.test(line));
}

const last = (lines: readonly string[]) => lines.at(-1)?.replace(/^(> )*/, '');

for (const method of ['fork', 'spawn', 'forkserver']) {
  describe(`under ${method}`, () => {
    test.each([
      ['work', answer],
      ['workWithModules', typedAnswer],
    ])('the prompt: %s', async (work, expected) => {
      expect(last(await node(['-i'], [...script, typed, run(method, work)]))).toBe(expected);
    });

    test.each([
      ['work', answer],
      ['workWithModules', typedAnswer],
    ])('node -e: %s', async (work, expected) => {
      const code = [...script, typed, run(method, work)].join('\n');
      expect(last(await node(['-e', code]))).toBe(expected);
      expect(last(await node(['-p', code]))).toBe(expected);
    });

    test('a script that a module has compiled', async () => {
      const file = join(folder, `compiled-${method}.mjs`);
      const [text, main] = [
        script.join('\n'),
        run(method, 'globalThis.work', 'await import("multiprocessing")'),
      ];
      writeFileSync(
        file,
        `import vm from 'node:vm';\nimport { isMain } from 'multiprocessing';\n` +
          `if (isMain(import.meta)) { vm.runInThisContext(${JSON.stringify(text)}); ${main} }\n`,
      );
      expect(last(await node([file]))).toBe(answer);
    });
  });
}

test('by name it is refused where there is no main module', async () => {
  const code = `const { ForkingPickler } = require('multiprocessing/reduction'); function f() {}
    try { ForkingPickler.dumps(f); } catch (error) { console.log(String(error)); }`;
  expect(last(await node(['-e', code]))).toMatch(
    /^PicklingError: function 'f' cannot be sent: it stands in \[eval\].*allowClosures/,
  );
});

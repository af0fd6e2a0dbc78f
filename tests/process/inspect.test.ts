/** Debuggers and profiles: a program's own flags are its own, and MULTIPROCESSING_INSPECT lets a debugger look at children. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Debugger } from '../support/debugger.ts';
import { runNode, running } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';
import { forEachWay, ways } from '../support/start_methods.ts';

const program = fileURLToPath(new URL('../fixtures/coverage/debugged.mjs', import.meta.url));
/** Its line, from 0, in which the target does something. */
const LINE = 5;

/** What stderr says, without what Node itself says of its inspector. */
const told = (stderr: string) =>
  stderr.split('\n').filter((line) => !/^(Debugger |For help|Waiting for|$)/.test(line));

forEachWay((how) => {
  const { name, options } = ways(how);
  const flags = options.method === 'fork' ? ['--single-threaded'] : [];
  const args = (count: number, ...more: string[]) => [
    ...flags,
    ...more,
    program,
    name,
    String(count),
  ];

  test('MULTIPROCESSING_INSPECT=1: a port for each child, named before its target runs', async () => {
    const env = { MULTIPROCESSING_INSPECT: '1' };
    const { code, stderr } = await runNode(args(2), { env });
    expect(code).toBe(0);
    const line = (i: number) =>
      expect.stringMatching(
        new RegExp(String.raw`^Process worker ${i} \(\d+\): debugger at ws://127\.0\.0\.1:\d+/`),
      );
    expect(told(stderr)).toEqual([line(0), 'in the target', line(1), 'in the target']);
  });

  test('MULTIPROCESSING_INSPECT=brk: a child stops before its target, and wherever it is told to', async () => {
    const env = { ...process.env, MULTIPROCESSING_INSPECT: 'brk' };
    const child = spawn(process.execPath, args(1), { env });
    const { outcome } = running(child);
    const [, pid, url] = await new Promise<RegExpExecArray>((resolve) => {
      let text = '';
      child.stderr.on('data', (chunk: string) => {
        text += chunk;
        const found = /^Process worker 0 \((\d+)\): debugger at (\S+)\n/m.exec(text);
        if (found !== null) resolve(found);
      });
    });
    const client = await Debugger.connect(url as string);
    await client.ask('Debugger.enable');
    type Paused = { callFrames: { functionName: string; callFrameId: string; url: string }[] };
    const stop = client.event<Paused>('Debugger.paused');
    await client.ask('Runtime.runIfWaitingForDebugger');
    const { callFrames } = await stop;
    const { result } = await client.ask<{ result: { value: number } }>(
      'Debugger.evaluateOnCallFrame',
      { callFrameId: callFrames[0]?.callFrameId, expression: 'process.pid' },
    );
    expect([callFrames[0]?.functionName, result.value]).toEqual(['inspectIfAsked', Number(pid)]);
    await client.ask('Debugger.setBreakpointByUrl', {
      urlRegex: '.*/debugged\\.mjs',
      lineNumber: LINE,
    });
    const inTarget = client.event<Paused>('Debugger.paused');
    await client.ask('Debugger.resume');
    expect((await inTarget).callFrames[0]).toMatchObject({ functionName: 'target' });
    client.leave('Debugger.resume');
    const { code, stderr } = await outcome;
    expect([code, told(stderr)]).toEqual([0, [expect.any(String), 'in the target']]);
  });

  test('another value is an error of the child', async () => {
    const env = { MULTIPROCESSING_INSPECT: 'yes' };
    const { code, stderr } = await runNode(args(1), { env });
    expect(code).toBe(1);
    expect(stderr).toContain("ValueError: MULTIPROCESSING_INSPECT must be 1 or brk, not 'yes'");
    expect(stderr).not.toContain('in the target');
  });

  test('--inspect is the program alone', async () => {
    const { code, stderr } = await runNode(args(1, '--inspect=0'));
    expect([code, told(stderr)]).toEqual([0, ['in the target']]);
    expect(stderr.match(/Debugger listening/g)).toHaveLength(1);
  });

  test.each([
    ['cpu', 'cpuprofile'],
    ['heap', 'heapprofile'],
  ])('--%s-prof is the program alone, and its profile is written', async (kind, ending) => {
    const directory = scratchFile('profiles');
    const flags = [`--${kind}-prof`, `--${kind}-prof-dir=${directory}`];
    const { code, stderr } = await runNode(args(2, ...flags));
    expect([code, told(stderr)]).toEqual([0, ['in the target', 'in the target']]);
    expect(readdirSync(directory)).toEqual([expect.stringMatching(`\\.${ending}$`)]);
  });
});

describe('a copy of a process that a debugger looks at', () => {
  test('says that none can look at it', async () => {
    const env = { MULTIPROCESSING_INSPECT: '1' };
    const flags = ['--single-threaded', '--inspect=0'];
    const { code, stderr } = await runNode([...flags, program, 'fork', '1'], { env });
    expect([code, told(stderr)]).toEqual([
      0,
      [expect.stringMatching(/^Process worker 0 \(\d+\): no debugger /), 'in the target'],
    ]);
  });
});

/**
 * The logger. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import * as mp from 'multiprocessing';
import { debug, info, SUBDEBUG, SUBWARNING, subDebug, subWarning } from 'multiprocessing/util';
import { afterEach, expect, test } from 'vitest';
import { _forkserver } from '../../packages/popen/dist/index.js';
import * as context from '../fixtures/dist/context_targets.js';
import { runProgram } from '../support/programs.ts';
import { Channel } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

type Handler = Parameters<ReturnType<typeof mp.getLogger>['addHandler']>[0];
type LogRecord = Parameters<Handler>[0];

const logger = mp.getLogger();
let handler: Handler | undefined;

/** What is logged from now to the end of the test. */
function records(level: number): LogRecord[] {
  const seen: LogRecord[] = [];
  handler = (record) => seen.push(record);
  logger.addHandler(handler);
  logger.setLevel(level);
  return seen;
}

afterEach(() => {
  if (handler !== undefined) logger.removeHandler(handler);
  logger.setLevel(0);
});

test('the logger drops records below its level', () => {
  expect(mp.getLogger()).toBe(logger);
  const seen = records(SUBWARNING);
  logger.debug('no');
  logger.info('no');
  info('no');
  logger.warning('yes, %s', { really: true });
  subWarning('yes, too');
  logger.error('of course');
  expect(seen.map(({ levelno, levelname, message }) => [levelno, levelname, message])).toEqual([
    [30, 'WARNING', 'yes, { really: true }'],
    [25, 'Level 25', 'yes, too'],
    [40, 'ERROR', 'of course'],
  ]);
  expect([logger.isEnabledFor(24), logger.isEnabledFor(25)]).toEqual([false, true]);
  expect([SUBDEBUG, SUBWARNING]).toEqual([5, 25]);
  logger.setLevel(0);
  expect(logger.getEffectiveLevel()).toBe(30);
  expect(() => logger.setLevel('INFO' as unknown as number)).toThrow(TypeError);
});

test('a log record names the file that wrote it', () => {
  const seen = records(1);
  logger.info('1');
  info('2');
  logger.debug('3');
  debug('4');
  subDebug('5');
  subWarning('6');
  logger.log(50, '7');
  expect(seen.map(({ message, filename }) => [message, filename])).toEqual(
    ['1', '2', '3', '4', '5', '6', '7'].map((message) => [message, 'logging.test.ts']),
  );
  expect(seen.slice(0, 3).map(({ levelname }) => levelname)).toEqual(['INFO', 'INFO', 'DEBUG']);
  expect(new Set(seen.map(({ processName }) => processName))).toEqual(new Set(['MainProcess']));
});

forEachStartMethod((ctx, method) => {
  test('a child logs at the level of its parent', async () => {
    const channel = new Channel();
    for (const level of [32, 10, 0]) {
      logger.setLevel(level);
      const p = new ctx.Process({ target: context.reportLogLevel, args: [channel.path] });
      const server = _forkserver._forkserverPid;
      await p.start();
      await p.join();
      p.close();
      expect(channel.all()).toEqual([level || 30]);
      if (level !== 32) expect(_forkserver._forkserverPid).toBe(server);
    }
  });

  test('a record of a child names the child', async () => {
    const channel = new Channel();
    const p = new ctx.Process({ target: context.logRecords, args: [channel.path] });
    await p.start();
    await p.join();
    expect(channel.all()).toEqual([[p.name, 'context_targets.js', 'from the child', 'INFO']]);
  });

  test('logToStderr writes level, process and message, in children, too', async () => {
    const { code, stderr } = await runProgram('log_to_stderr', [method], { method });
    expect(code).toBe(0);
    const lines = stderr.split('\n');
    expect(lines.slice(0, 4)).toEqual([
      '[INFO/MainProcess] text 1',
      '[INFO/MainProcess] from util',
      '[Level 25/MainProcess] between',
      '[ERROR/MainProcess] bad',
    ]);
    expect(lines.slice(4)).toEqual(['[WARNING/C] in the child', '']);
  });
});

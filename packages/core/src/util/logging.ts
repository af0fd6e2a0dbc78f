/**
 * The little of Python's `logging` that multiprocessing uses: one logger, levels, stream handlers.
 */
import { basename } from 'node:path';
import { format } from 'node:util';
import { calledByChildren, writeStderr } from '@multiprocessing/posix';
import { typeError } from '../base/errors.ts';
import { currentProcess } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';

export const NOTSET = 0;
export const SUBDEBUG = 5;
export const DEBUG = 10;
export const INFO = 20;
export const SUBWARNING = 25;
export const WARNING = 30;
export const ERROR = 40;

const levelNames = new Map([
  [DEBUG, 'DEBUG'],
  [INFO, 'INFO'],
  [WARNING, 'WARNING'],
  [ERROR, 'ERROR'],
]);

/** One log record, as handlers get it. */
export interface LogRecord {
  readonly levelno: number;
  /** `'INFO'`, or `'Level 5'` for a number without a name, as in Python. */
  readonly levelname: string;
  readonly processName: string;
  readonly message: string;
  /** The name, without its directory, of the file that logged. */
  readonly filename: string;
}

export type LogHandler = (record: LogRecord) => void;

/** The logger of multiprocessing; Python's `logging.getLogger('multiprocessing')`. */
export class Logger {
  readonly name = 'multiprocessing';
  #level = NOTSET;
  #handlers: LogHandler[] = [];
  readonly #processName: () => string;

  constructor(processName: () => string) {
    this.#processName = processName;
  }

  /** Sets the least level that is logged. @throws TypeError for anything but a number */
  setLevel(level: number): void {
    if (!Number.isInteger(level)) throw typeError(`level must be an integer, not ${format(level)}`);
    this.#level = level;
  }

  /** The least level that is logged: WARNING (30) until one is set. */
  getEffectiveLevel(): number {
    return this.#level === NOTSET ? WARNING : this.#level;
  }

  isEnabledFor(level: number): boolean {
    return level >= this.getEffectiveLevel();
  }

  addHandler(handler: LogHandler): void {
    this.#handlers.push(handler);
  }

  removeHandler(handler: LogHandler): void {
    this.#handlers = this.#handlers.filter((other) => other !== handler);
  }

  get handlers(): readonly LogHandler[] {
    return this.#handlers;
  }

  /** Logs a message; `args` are put in as by Node's util.format. */
  log(level: number, message: string, ...args: unknown[]): void {
    this._log(this.log, level, message, args);
  }

  debug(message: string, ...args: unknown[]): void {
    this._log(this.debug, DEBUG, message, args);
  }

  info(message: string, ...args: unknown[]): void {
    this._log(this.info, INFO, message, args);
  }

  warning(message: string, ...args: unknown[]): void {
    this._log(this.warning, WARNING, message, args);
  }

  error(message: string, ...args: unknown[]): void {
    this._log(this.error, ERROR, message, args);
  }

  /** @param entry the function that the user called: the file is that of its caller @internal */
  _log(
    entry: (...args: never[]) => unknown,
    level: number,
    message: string,
    args: readonly unknown[],
  ): void {
    if (!this.isEnabledFor(level) || this.#handlers.length === 0) return;
    const record: LogRecord = {
      levelno: level,
      levelname: levelNames.get(level) ?? `Level ${level}`,
      processName: this.#processName(),
      message: format(message, ...args),
      filename: callerOf(entry),
    };
    for (const handler of this.#handlers) handler(record);
  }
}

/** The base name of the file from which a function was called. */
function callerOf(entry: (...args: never[]) => unknown): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 1;
  const at: { stack?: string } = {};
  Error.captureStackTrace(at, entry);
  Error.stackTraceLimit = stackTraceLimit;
  const file = /\(?([^\s(]+?)(?::\d+)*\)?$/.exec(at.stack ?? '')?.[1];
  return basename(file ?? '<unknown>');
}

/** Writes `[LEVEL/PROCESS] message` to stderr at once. */
export function stderrHandler({ levelname, processName, message }: LogRecord): void {
  writeStderr(`[${levelname}/${processName}] ${message}\n`);
}

const state = processWide('logging', () => ({
  logger: undefined as Logger | undefined,
  toStderr: false,
}));

/** The logger of this library, made at the first call; Python's `multiprocessing.get_logger`. */
export function getLogger(): Logger {
  state.logger ??= new Logger(() => currentProcess().name);
  return state.logger;
}

/**
 * Turns logging on, to stderr; Python's `multiprocessing.log_to_stderr`.
 * @param level the least level to log: 10 debug, 20 info, 30 warning ...
 */
export function logToStderr(level?: number): Logger {
  const logger = getLogger();
  logger.addHandler(stderrHandler);
  if (level) logger.setLevel(level);
  state.toStderr = true;
  return logger;
}

/** What a child needs to log as its parent does. @internal */
export function loggingState(): { toStderr: boolean; level: number | undefined } {
  return { toStderr: state.toStderr, level: state.logger?.getEffectiveLevel() };
}

/** Logs below debug level, once logging is on; Python's `util.sub_debug`. */
export function subDebug(message: string, ...args: unknown[]): void {
  state.logger?._log(subDebug, SUBDEBUG, message, args);
}

/** Python's `util.debug`. */
export function debug(message: string, ...args: unknown[]): void {
  state.logger?._log(debug, DEBUG, message, args);
}

/** Python's `util.info`. */
export function info(message: string, ...args: unknown[]): void {
  state.logger?._log(info, INFO, message, args);
}

/** Logs between info and warning; Python's `util.sub_warning`. */
export function subWarning(message: string, ...args: unknown[]): void {
  state.logger?._log(subWarning, SUBWARNING, message, args);
}

calledByChildren(info, debug);

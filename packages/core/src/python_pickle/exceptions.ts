/**
 * Python's exceptions as errors, and errors as Python's exceptions. What Python does not pickle does not come: the traceback,
 * `__cause__` and `__context__`. Deviations: D-152.
 */

import { osError } from '@multiprocessing/posix';
import {
  AssertionError,
  AuthenticationError,
  BrokenBarrierError,
  BufferError,
  BufferTooShort,
  Empty,
  EOFError,
  Full,
  indexError,
  NotImplementedError,
  OSError,
  PicklingError,
  ProcessError,
  RuntimeError,
  SystemExit,
  TimeoutError,
  typeError,
  UnpicklingError,
  ValueError,
} from '../base/errors.ts';
import { setProperty } from '../pickle/properties.ts';
import { AttributeError, KeyError, messageOf, PythonError } from './python_error.ts';
import { repr, str } from './repr.ts';
import type { AnyClass, PythonType, Reduced } from './types.ts';

/** What an error remembers of the exception that it was. */
interface Origin {
  readonly name: string;
  readonly message: string;
  readonly args: readonly unknown[];
}

const origins = new WeakMap<object, Origin>();

/** What an error has that was an exception of Python. */
export interface FromPython {
  /** The arguments of the exception, as in Python. */
  args?: readonly unknown[];
  /** What `add_note` has added; also goes to Python, 3.11 or later. */
  notes?: unknown;
  /** What else the exception's `__dict__` had. */
  attributes?: Readonly<Record<string, unknown>>;
}

type Make = (message: string, args: readonly unknown[]) => Error;

const context = 'multiprocessing.context';
const inContext = (name: string) => [`${context}.${name}`, `multiprocessing.${name}`];

/** Names of exceptions, the class that has the same meaning here, and how one is made. */
const rows = (): readonly [
  names: string | readonly string[],
  cls: AnyClass<Error>,
  make: Make,
][] => [
  ['builtins.ValueError', ValueError, (message) => new ValueError(message)],
  ['builtins.TypeError', TypeError, typeError],
  ['builtins.KeyError', KeyError, (_, args) => new KeyError(...args)],
  ['builtins.AttributeError', AttributeError, (_, args) => new AttributeError(...args)],
  ['builtins.RuntimeError', RuntimeError, (message) => new RuntimeError(message)],
  ['builtins.NotImplementedError', NotImplementedError, (text) => new NotImplementedError(text)],
  ['builtins.AssertionError', AssertionError, (message) => new AssertionError(message)],
  ['builtins.EOFError', EOFError, (message) => new EOFError(message)],
  ['builtins.BufferError', BufferError, (message) => new BufferError(message)],
  ['builtins.SystemExit', SystemExit, (_, args) => new SystemExit(args[0])],
  [inContext('ProcessError'), ProcessError, (message) => new ProcessError(message)],
  [inContext('BufferTooShort'), BufferTooShort, (_, args) => new BufferTooShort(...args)],
  [inContext('TimeoutError'), TimeoutError, (message) => new TimeoutError(message)],
  [inContext('AuthenticationError'), AuthenticationError, (text) => new AuthenticationError(text)],
  [['queue.Empty', '_queue.Empty', 'Queue.Empty'], Empty, (message) => new Empty(message)],
  [['queue.Full', 'Queue.Full'], Full, (message) => new Full(message)],
  ['threading.BrokenBarrierError', BrokenBarrierError, (text) => new BrokenBarrierError(text)],
  [['pickle.PicklingError', '_pickle.PicklingError'], PicklingError, (m) => new PicklingError(m)],
  [
    ['pickle.UnpicklingError', '_pickle.UnpicklingError'],
    UnpicklingError,
    (message) => new UnpicklingError(message),
  ],
  ['builtins.OSError', OSError, osErrorOf],
];

/** Builtins that become what another one becomes, under their own names. */
const kin: Readonly<Record<string, string>> = {
  OSError:
    'BlockingIOError BrokenPipeError ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError' +
    ' ConnectionResetError FileExistsError FileNotFoundError IOError InterruptedError IsADirectoryError NotADirectoryError' +
    ' PermissionError ProcessLookupError TimeoutError',
  RuntimeError: 'PythonFinalizationError RecursionError',
  ValueError: 'UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError',
};

/** Builtins without a counterpart. */
const others =
  'BaseException Exception ArithmeticError FloatingPointError GeneratorExit ImportError IndentationError' +
  ' KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError OverflowError ReferenceError' +
  ' StopAsyncIteration StopIteration SyntaxError SystemError TabError UnboundLocalError ZeroDivisionError Warning' +
  ' BytesWarning DeprecationWarning EncodingWarning FutureWarning ImportWarning PendingDeprecationWarning ResourceWarning' +
  ' RuntimeWarning SyntaxWarning UnicodeWarning UserWarning';

/** Of `OSError(errno, strerror, filename)`, by which Python chooses the class. */
function osErrorOf(message: string, [errno, strerror, filename]: readonly unknown[]): Error {
  if (typeof errno !== 'number' || strerror === undefined) return new OSError(0, message);
  const place = filename === undefined || filename === null ? '' : `: ${repr(filename)}`;
  return osErrorLike(errno, `[Errno ${errno}] ${str(strerror)}${place}`);
}

function osErrorLike(errno: number, message: string): Error {
  const cls = osError(errno, '').constructor as typeof OSError;
  return new cls(errno, message);
}

/** Remembers what an error was, to send it back as that, and what it has for the program. */
function from(name: string, error: Error, args: readonly unknown[]): Error {
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (error.name !== last && !(error instanceof RangeError)) hidden(error, 'name', last);
  if (!('args' in error)) hidden(error, 'args', args);
  // Where it was read says nothing.
  error.stack = error.message === '' ? last : `${last}: ${error.message}`;
  origins.set(error, { name, message: error.message, args });
  return error;
}

function hidden(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, configurable: true });
}

/** Without collecting frames: nobody wants those, and a stranger's message may have many errors. */
function withoutFrames(make: () => Error): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * Bytes that an exception takes at least in a pickle of Python's. One takes two kilobytes here, and five bytes can call for
 * the same one again.
 */
const LEAST = 8;

function build(make: Make, name?: string): NonNullable<PythonType['build']> {
  return (args, call) => {
    call.copies(LEAST);
    const known = name ?? call.name;
    return from(
      known,
      withoutFrames(() => make(messageOf(args), args)),
      args,
    );
  };
}

function setState(error: FromPython, state: unknown): void {
  if (typeof state !== 'object' || state === null) return;
  const entries = state instanceof Map ? [...state] : Object.entries(state);
  const attributes: Record<string, unknown> = {};
  for (const [key, value] of entries as [unknown, unknown][]) {
    if (key === '__notes__') hidden(error as Error, 'notes', value);
    else if (typeof key === 'string' && key !== 'args') setProperty(attributes, key, value);
  }
  if (Object.keys(attributes).length > 0) hidden(error as Error, 'attributes', attributes);
}

/** @param own the class whose exception it is, if it is that: for others the text says which it was */
function reduceAs(name: string, own: AnyClass<Error>, toArgs?: (error: Error) => unknown[]) {
  return (error: Error & FromPython): Reduced => {
    const origin = origins.get(error);
    const state = stateOf(error);
    if (origin !== undefined && origin.message === error.message)
      return { name: origin.name, args: origin.args, state };
    const system = systemError(error);
    if (system !== undefined) return { name: 'builtins.OSError', args: system, state };
    return { name: origin?.name ?? name, args: toArgs?.(error) ?? [textOf(error, own)], state };
  };
}

function stateOf({ notes, attributes }: FromPython): unknown {
  if (notes === undefined && attributes === undefined) return undefined;
  return notes === undefined ? attributes : { ...attributes, __notes__: notes };
}

function textOf(error: Error, own: AnyClass<Error>): string {
  const cls: unknown = error.constructor?.name;
  if (Object.getPrototypeOf(error) === own.prototype || typeof cls !== 'string' || cls === '')
    return error.message;
  const name = error.name === own.prototype.name || error.name === own.name ? cls : error.name;
  return name === own.name ? error.message : `${name}: ${error.message}`;
}

/** The arguments of an OSError for an error of the kernel, one of Node's too. */
function systemError(error: Error): unknown[] | undefined {
  const { errno, code } = error as { errno?: unknown; code?: unknown };
  if (typeof errno !== 'number' || typeof code !== 'string' || errno === 0) return undefined;
  return [Math.abs(errno), error.message];
}

/** What the arguments of an exception are that is made here, where it is not the message alone. */
function ownArguments(cls: AnyClass<Error>): ((error: Error) => unknown[]) | undefined {
  if (cls === SystemExit) return (error) => [(error as SystemExit).exitcode ?? null];
  if (cls !== KeyError && cls !== AttributeError && cls !== BufferTooShort) return undefined;
  return (error) => [...((error as FromPython).args ?? [error.message])];
}

/** Python's exceptions that have a class here. */
const namesakes = (): readonly PythonType[] =>
  rows().map(([names, cls, make]) => {
    const name = typeof names === 'string' ? names : (names[0] as string);
    const reduce = reduceAs(name, cls, ownArguments(cls));
    return { names, cls, derived: true, build: build(make, name), setState, reduce };
  });

/** Builtins that have not. */
function otherBuiltins(): readonly PythonType[] {
  const row = (name: string, make: Make): PythonType => {
    const full = `builtins.${name}`;
    return { names: full, build: build(make, full), setState };
  };
  const makers = new Map(rows().map(([names, , make]) => [names, make]));
  return [
    ...Object.entries(kin).flatMap(([name, more]) =>
      more.split(' ').map((each) => row(each, makers.get(`builtins.${name}`) as Make)),
    ),
    ...others.split(' ').map((name) => row(name, (_, args) => new PythonError(...args))),
  ];
}

/** The language's own errors, and those of a program. */
const languageErrors = (): readonly PythonType[] => [
  {
    names: 'builtins.IndexError',
    cls: RangeError,
    derived: true,
    build: build(indexError, 'builtins.IndexError'),
    setState,
    reduce: (error: RangeError) => {
      const index = (error as { code?: unknown }).code === 'ERR_MP_INDEX';
      const name = index ? 'builtins.IndexError' : 'builtins.ValueError';
      return reduceAs(name, RangeError)(error);
    },
  },
  ...(
    [
      ['Exception', PythonError],
      ['Exception', Error],
      ['NameError', ReferenceError],
      ['SyntaxError', SyntaxError],
    ] as const
  ).map(([name, cls]) => {
    return { names: [], cls, derived: true, reduce: reduceAs(`builtins.${name}`, cls) };
  }),
];

const groups: PythonType = {
  names: ['builtins.ExceptionGroup', 'builtins.BaseExceptionGroup'],
  cls: AggregateError,
  derived: true,
  build: (args, { name, copies }) => {
    const [message, errors] = args;
    if (typeof message !== 'string' || !Array.isArray(errors)) return undefined;
    copies(errors.length);
    const make = () => new AggregateError(errors, message);
    return from(name, withoutFrames(make), args);
  },
  setState,
  reduce: (error: AggregateError & FromPython) => ({
    name: origins.get(error)?.name ?? 'builtins.ExceptionGroup',
    args: [error.message, error.errors],
    state: stateOf(error),
  }),
};

/** Rows for the table of types. */
export const exceptionTypes = (): readonly PythonType[] => [
  ...namesakes(),
  ...otherBuiltins(),
  ...languageErrors(),
  groups,
];

/** A row for a class of exceptions that a program has registered. */
export function exceptionType(name: string, cls: AnyClass<Error>): PythonType {
  const make = (message: string) => Reflect.construct(Error, [message], cls) as Error;
  return { names: name, cls, build: build(make, name), setState, reduce: reduceAs(name, cls) };
}

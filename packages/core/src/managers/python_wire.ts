/**
 * CPython's wire between managers and proxies, `serializer: 'pickle'`: (ident, methodname, args, kwds) and (kind, result), both in Python's
 * pickle, answered in the order of the requests. Deviations: D-150.
 */
import { UnpicklingError } from '../base/errors.ts';
import { dumpsIn, loadsIn } from '../python_pickle/python_pickle.ts';
import { Tuple } from '../python_pickle/tuple.ts';
import type { ClientWire, Kind } from './calls.ts';
import { RemoteError } from './errors.ts';
import { checkedRequest } from './node_wire.ts';
import { asException, managerTypes } from './python_types.ts';
import { serverWires } from './server.ts';
import type { Answer, ServerWire } from './server_link.ts';

const scope = { types: managerTypes };

function dumps(obj: unknown): Uint8Array {
  return dumpsIn(scope, obj);
}

const KINDS: ReadonlySet<unknown> = new Set<Kind>([
  '#RETURN',
  '#ERROR',
  '#PROXY',
  '#TRACEBACK',
  '#UNSERIALIZABLE',
]);

/** A request in bytes. @throws PicklingError @internal */
export function dumpsRequest(
  ident: string | null,
  method: string,
  args: readonly unknown[],
  kwds: object | undefined,
): Uint8Array {
  return dumps(Tuple.of<unknown>(ident, method, Tuple.from(args), kwds ?? {}));
}

/** What an answer says. @throws UnpicklingError @internal */
export function loadsAnswer(message: Uint8Array): { kind: Kind; result: unknown } {
  const answer = loadsIn(scope, message);
  const [kind, result] = Array.isArray(answer) ? answer : [];
  if (!KINDS.has(kind)) throw new UnpicklingError('an answer of the manager is damaged');
  return { kind: kind as Kind, result: result ?? undefined };
}

/** The client's side. @internal */
export const pythonClientWire: ClientWire = {
  isNumbered: false,

  request: ({ ident, method, args, kwds }) => dumpsRequest(ident, method, args, kwds),

  serialOf: () => 0,

  load: (message) => loadsAnswer(message),
};

/** The server's side. */
const pythonWire: ServerWire = {
  inOrder: true,

  serialOf: () => undefined,

  decode(message) {
    const request = loadsIn(scope, message);
    const [ident, method, args, kwds] = Array.isArray(request) ? request : [];
    const words = kwds instanceof Map && kwds.size === 0 ? {} : kwds;
    const isEmpty = typeof words !== 'object' || words === null || Object.keys(words).length === 0;
    const all = [ident ?? null, method, args, isEmpty ? undefined : words];
    return checkedRequest(all, undefined);
  },

  encode(_link, { method }, answer) {
    try {
      return { body: dumps(pythonAnswer(method, answer)), kind: -1 };
    } catch (error) {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { body: dumps(Tuple.of<unknown>('#UNSERIALIZABLE', `${why}\n`)), kind: -1 };
    }
  },
};

/** What has no place in CPython's answers is taken out. @throws PicklingError */
function pythonAnswer(method: string, { kind, result }: Answer): Tuple {
  if (kind === '#PROXY') {
    const [exposed, token] = result as [string[], unknown];
    return Tuple.of<unknown>(kind, Tuple.of<unknown>(Tuple.from(exposed), token));
  }
  if (kind === '#ERROR') {
    if (!(result instanceof RemoteError)) return Tuple.of<unknown>(kind, asException(result));
    return Tuple.of<unknown>('#TRACEBACK', `${result.stack ?? result.message}\n`);
  }
  if (method === 'items' && Array.isArray(result))
    return Tuple.of<unknown>(
      kind,
      result.map((pair) => (isPair(pair) ? Tuple.from(pair) : pair)),
    );
  if (method === 'popitem' && isPair(result)) return Tuple.of<unknown>(kind, Tuple.from(result));
  return Tuple.of<unknown>(kind, result ?? null);
}

function isPair(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length === 2;
}

serverWires.set('pickle', pythonWire);

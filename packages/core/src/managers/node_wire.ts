/**
 * The wire between managers and proxies of this library, `serializer: 'node'`: pickled as anything here is, behind a number by which an
 * answer finds its call, so that answers may come in any order.
 *
 *     request   number (4 bytes; 0 wants no answer), pickle of [ident, method, args, kwds]; ident null asks the server itself
 *     answer    number (4 bytes), kind (1 byte), pickle of the result
 */
import { UnpicklingError } from '../base/errors.ts';
import { ANYBODY } from '../pickle/permissions.ts';
import { ForkingPickler, loadsBeside } from '../pickle/reduction.ts';
import type { ClientWire, Kind } from './calls.ts';
import { RemoteError } from './errors.ts';
import { answering } from './local_server.ts';
import type { Answer, Request, ServerLink, ServerWire } from './server_link.ts';

const KINDS: readonly Kind[] = ['#RETURN', '#ERROR', '#PROXY', '#TRACEBACK', '#UNSERIALIZABLE'];

const NOTHING = new Uint8Array();

/** @throws UnpicklingError @returns a promise if modules have to be imported first, and that is allowed @internal */
function loadsMessage(bytes: Uint8Array, sync: boolean): unknown {
  return loadsBeside({ bytes, length: bytes.length, beside: [] }, sync, ANYBODY);
}

/** The client's side of this wire. @internal */
export const nodeClientWire: ClientWire = {
  isNumbered: true,

  request({ ident, method, args, kwds }) {
    return ForkingPickler.dumps(
      kwds === undefined ? [ident, method, args] : [ident, method, args, kwds],
    );
  },

  serialOf(message) {
    if (message.length < 5) throw new UnpicklingError('an answer of the manager is damaged');
    return message.readUInt32LE(0);
  },

  load(message, sync) {
    const kind = KINDS[message[4] as number];
    if (kind === undefined) throw new UnpicklingError('an answer of the manager is damaged');
    const result = message.length === 5 ? undefined : loadsMessage(message.subarray(5), sync);
    if (!(result instanceof Promise)) return { kind, result };
    return result.then((later) => ({ kind, result: later }));
  },
};

/** A request, if it is one. @throws UnpicklingError @internal */
export function checkedRequest(request: unknown, serial: number | undefined): Request {
  const [ident, method, args, kwds] = Array.isArray(request) ? request : [];
  const isOne =
    (typeof ident === 'string' || ident === null) &&
    typeof method === 'string' &&
    Array.isArray(args) &&
    (kwds === undefined || (typeof kwds === 'object' && kwds !== null));
  if (!isOne) throw new UnpicklingError('a request is (ident, methodname, args, kwds)');
  return { serial, ident, method, args, kwds };
}

/** @internal */
export const nodeWire: ServerWire = {
  inOrder: false,

  serialOf: (message) => (message.length < 4 ? 0 : message.readUInt32LE(0)),

  decode(message) {
    if (message.length < 4) throw new UnpicklingError('a request without its number');
    const serial = message.readUInt32LE(0);
    const request = loadsMessage(message.subarray(4), false);
    if (request instanceof Promise) return request.then((later) => checkedRequest(later, serial));
    return checkedRequest(request, serial);
  },

  encode(link: ServerLink, { method }, { kind, result }: Answer) {
    try {
      const body =
        result === undefined ? NOTHING : answering(link, () => ForkingPickler.dumps(result));
      return { body, kind: KINDS.indexOf(kind) };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const what = kind === '#ERROR' ? `what ${method} has thrown` : `the result of ${method}`;
      const instead = new RemoteError(`${what} cannot be sent: ${why}`);
      return { body: ForkingPickler.dumps(instead), kind: KINDS.indexOf('#ERROR') };
    }
  },
};

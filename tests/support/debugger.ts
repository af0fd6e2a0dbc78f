/** A debugger's end of the inspector protocol, over a WebSocket: no more of it than tests want. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { request } from 'node:http';
import type { Socket } from 'node:net';

interface Message {
  id?: number;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: { message: string };
}

export class Debugger {
  readonly #socket: Socket;
  readonly #events = new EventEmitter();
  #buffer = Buffer.alloc(0);
  #last = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** @param url what the inspector says, `ws://...` */
  static async connect(url: string): Promise<Debugger> {
    const asking = request(url.replace('ws:', 'http:'), {
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
        'Sec-WebSocket-Version': '13',
      },
    });
    asking.end();
    const [, socket] = (await once(asking, 'upgrade')) as [unknown, Socket];
    return new Debugger(socket);
  }

  /** Asks, and waits for the answer. */
  async ask<T = unknown>(method: string, params: object = {}): Promise<T> {
    const id = ++this.#last;
    const answer = once(this.#events, String(id));
    this.#send(JSON.stringify({ id, method, params }));
    const [{ result, error }] = (await answer) as [Message];
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result as T;
  }

  /** The next event of that name; to be called before what causes it. */
  async event<T>(method: string): Promise<T> {
    const [message] = (await once(this.#events, method)) as [Message];
    return message.params as T;
  }

  /** Says a last thing, and goes. A process that leaves by _exit gives no answer to what lets it go on. */
  leave(method: string): void {
    this.#send(JSON.stringify({ id: ++this.#last, method, params: {} }));
    this.#socket.end();
  }

  #send(text: string): void {
    const data = Buffer.from(text);
    const head = Buffer.from([0x81, 0x80 | 126, data.length >> 8, data.length & 0xff]);
    // A client has to mask what it sends; zeros are a mask.
    this.#socket.write(Buffer.concat([head, Buffer.alloc(4), data]));
  }

  #receive(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const frame = readFrame(this.#buffer);
      if (frame === undefined) return;
      this.#buffer = this.#buffer.subarray(frame.end);
      const message = JSON.parse(frame.text) as Message;
      this.#events.emit(String(message.id ?? message.method), message);
    }
  }
}

function readFrame(buffer: Buffer): { text: string; end: number } | undefined {
  if (buffer.length < 10 && buffer.length < 2 + ((buffer[1] ?? 0) & 0x7f)) return undefined;
  let length = (buffer[1] ?? 0) & 0x7f;
  let begin = 2;
  if (length === 126) {
    length = buffer.readUInt16BE(2);
    begin = 4;
  } else if (length === 127) {
    length = Number(buffer.readBigUInt64BE(2));
    begin = 10;
  }
  const end = begin + length;
  return buffer.length < end ? undefined : { text: buffer.toString('utf8', begin, end), end };
}

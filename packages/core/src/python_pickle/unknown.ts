/**
 * What a pickle holds of classes that nobody has registered, as data: for messages that are to be read by people, such as the
 * error of another program. It cannot be sent again.
 */
import { inspect } from 'node:util';
import { messageOf, PythonError } from './python_error.ts';
import { repr } from './repr.ts';
import { GlobalName, type PythonType } from './types.ts';

/** An object of an unknown class: its name and what it would have been made of. Nothing has been made. @internal */
export class UnknownObject {
  readonly name: string;
  readonly args: readonly unknown[];
  state: unknown;

  constructor(name: string, args: readonly unknown[]) {
    this.name = name;
    this.args = args.map((arg) =>
      arg instanceof GlobalName ? new UnknownObject(arg.name, []) : arg,
    );
  }

  /** The object as an exception, if it was one: its class's name and its message. */
  toError(): PythonError {
    const error = new PythonError(...this.args);
    error.name = this.name;
    error.message = messageOf(this.args);
    return error;
  }

  toString(): string {
    return `${this.name}(${this.args.map(repr).join(', ')})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** A row for whatever name. @internal */
export const unknownType: PythonType = {
  names: [],
  takesNames: true,
  build: (args, { name }) => new UnknownObject(name, args),
  setState: (obj: UnknownObject, state) => {
    obj.state = state;
  },
  append: () => undefined,
  setItems: () => undefined,
};

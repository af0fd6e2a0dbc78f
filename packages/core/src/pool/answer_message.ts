/**
 * What a worker sends for what has become of a task. What cannot be sent is replaced by an error that says so.
 */
import { answering } from '../base/names.ts';
import type { Pickled } from '../pickle/message.ts';
import { dumpsBeside } from '../pickle/reduction.ts';
import { MaybeEncodingError } from './errors.ts';
import { ANSWER } from './port.ts';
import type { RunResult } from './run_task.ts';

/** @throws PicklingError @internal */
export function dumpsAnswer(obj: unknown): Pickled {
  return answering(() => dumpsBeside(obj));
}

/** @internal */
export interface AnswerMessage {
  readonly message: Pickled;
  /** One of ANSWER. */
  readonly kind: number;
}

/** The message of what has become of a task. @internal */
export function answerOf(result: RunResult): AnswerMessage {
  if ('value' in result) return encoded(result.value, ANSWER.RESULT);
  if ('error' in result) return encoded(result.error, ANSWER.ERROR);
  const { values, errors } = result;
  try {
    return { message: dumpsAnswer([values, errors]), kind: ANSWER.CHUNK };
  } catch {
    return { message: dumpsAnswer(sendableOf(values, errors)), kind: ANSWER.CHUNK };
  }
}

function encoded(value: unknown, kind: number): AnswerMessage {
  try {
    return { message: dumpsAnswer(value), kind };
  } catch (error) {
    return { message: dumpsAnswer(new MaybeEncodingError(error, value)), kind: ANSWER.ERROR };
  }
}

type Errors = readonly (readonly [number, unknown])[];

/** One of them cannot be sent: the others can. */
function sendableOf(values: readonly unknown[], errors: Errors): [unknown[], Errors] {
  const refused = values.map(refusalOf);
  const thrown = errors.map(([i, error]) => [i, refusalOf(error) ?? error] as const);
  const unsent = refused.flatMap((refusal, i) =>
    refusal === undefined ? [] : [[i, refusal] as const],
  );
  const sent = values.map((value, i) => (refused[i] === undefined ? value : undefined));
  return [sent, [...thrown, ...unsent].sort(([a], [b]) => a - b)];
}

function refusalOf(value: unknown): MaybeEncodingError | undefined {
  try {
    dumpsAnswer(value);
    return undefined;
  } catch (error) {
    return new MaybeEncodingError(error, value);
  }
}

/** The message of an error that a task has left behind, and of its name. @internal */
export function leftoverMessage(error: unknown, task: string | undefined): Pickled {
  try {
    return dumpsAnswer([error, task]);
  } catch (refusal) {
    return dumpsAnswer([new MaybeEncodingError(refusal, error), task]);
  }
}

/** The message of an error. @internal */
export function errorMessage(error: unknown): Pickled {
  return encoded(error, ANSWER.ERROR).message;
}

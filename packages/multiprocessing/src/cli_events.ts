/**
 * The events that a traced program has left in its file, and the two forms in which `multiprocessing trace` shows
 * them.
 */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import type { TraceEvent } from '@multiprocessing/core';

/** All events of a file, in the order of their times. */
export function readEvents(file: string): TraceEvent[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const events = lines.map((line) => JSON.parse(line) as TraceEvent);
  return events.sort((a, b) => a.time - b.time);
}

/** The events as text, one line each. */
export function formatEvents(events: readonly TraceEvent[]): string {
  const start = events[0]?.time ?? 0;
  const lines = events.map(({ time, pid, name, layer, event, detail }) => {
    const details = Object.entries(detail).map(([key, value]) => `${key}=${inspect(value)}`);
    const columns = [
      (time - start).toFixed(2).padStart(9),
      String(pid).padStart(7),
      name.padEnd(14),
      layer.padEnd(16),
      event.padEnd(13),
      ...details,
    ];
    return `${columns.join(' ').trimEnd()}\n`;
  });
  return lines.join('');
}

interface ChromeEvent {
  name: string;
  cat: string;
  ph: string;
  /** Microseconds. */
  ts: number;
  dur?: number;
  pid: number;
  tid: number;
  s?: string;
  args: Readonly<Record<string, unknown>>;
}

/** The events in the Trace Event Format: an instant for each, a slice from `bootstrap` to `exit`, and one for each task of a pool. */
export function chromeEvents(events: readonly TraceEvent[]): ChromeEvent[] {
  const slices: Record<string, string> = { bootstrap: 'B', exit: 'E' };
  const names = new Map(events.map(({ pid, name }) => [pid, name]));
  const meta = [...names].map(([pid, name]): ChromeEvent => {
    return {
      name: 'process_name',
      cat: '__metadata',
      ph: 'M',
      ts: 0,
      pid,
      tid: pid,
      args: { name },
    };
  });
  const all = events.map(({ layer, event, name, pid, time, detail }): ChromeEvent => {
    const base = { cat: layer, ts: time * 1000, pid, tid: pid, args: { process: name, ...detail } };
    if (layer === 'pool' && event === 'task') {
      const { function: task, ms } = detail as { function: string; ms: number };
      return { ...base, name: task, ph: 'X', ts: (time - ms) * 1000, dur: ms * 1000 };
    }
    const phase = slices[event];
    if (phase !== undefined) return { ...base, name, ph: phase };
    return { ...base, name: `${layer}.${event} ${name}`, ph: 'i', s: 'p' };
  });
  return [...meta, ...all];
}

/** What app.cjs is, with spans of OpenTelemetry: each process sends its own before it ends, and the parent before it forks. */
const { trace } = require('@opentelemetry/api');
if (process.env.REAL) require('multiprocessing/forkable');
const mp = require('multiprocessing');

async function record(name) {
  trace.getTracer('app').startSpan(name).end();
  await trace.getTracerProvider().getDelegate().forceFlush();
}

exports.own = async function own() {
  const api = require('@opentelemetry/api');
  console.log('own');
  api.trace.getTracer('app').startSpan('child').end();
  await api.trace.getTracerProvider().getDelegate().forceFlush();
};

async function main() {
  const ctx = mp.getContext(process.env.METHOD);
  await record('before');
  console.log(String(ctx));
  const p = new ctx.Process({ target: exports.own });
  await p.start();
  await p.join();
  if (p.exitcode !== 0) console.log(`exit code ${p.exitcode}`);
  await record('after');
}

if (mp.isMain(module)) main();

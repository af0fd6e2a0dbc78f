/** `collect FLAGS... PROGRAM`: a collector of OpenTelemetry on loopback, and a node that sends to it. Prints the names of all spans. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

const names = [];

function note({ resourceSpans = [] }) {
  for (const { scopeSpans } of resourceSpans) {
    for (const { spans } of scopeSpans) names.push(...spans.map(({ name }) => name));
  }
}

const server = createServer(async (request, response) => {
  note(JSON.parse((await request.setEncoding('utf8').toArray()).join('')));
  response.setHeader('content-type', 'application/json').end('{}');
}).listen(0, '127.0.0.1');
await once(server, 'listening');

const env = {
  ...process.env,
  OTEL_TRACES_EXPORTER: 'otlp',
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_LOGS_EXPORTER: 'none',
  OTEL_NODE_RESOURCE_DETECTORS: 'none',
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.address().port}`,
};
const program = spawn(process.execPath, process.argv.slice(2), { env, stdio: 'inherit' });
[process.exitCode] = await once(program, 'close');
console.log(`spans: ${names.sort().join(', ')}`);
server.close();
server.closeAllConnections();

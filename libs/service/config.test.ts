import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import { readConfig } from './config.ts';

const read = (env: NodeJS.ProcessEnv) => readConfig(env, { grpcPort: 7701 });

test('defaults hold where nothing is set, an empty variable counts as not set', () => {
  expect(read({ HIVEBUS_LOG: '', PATH: '/bin' })).toMatchObject({
    nats: ['nats://127.0.0.1:4222'],
    host: '127.0.0.1',
    grpcPort: 7701,
    healthPort: undefined,
    traces: 'off',
    log: 'info',
    stopMs: 30_000,
  });
});

test('values are parsed', () => {
  const config = read({
    HIVEBUS_NATS: 'nats://a:4222, tls://b',
    HIVEBUS_GRPC_PORT: '0',
    HIVEBUS_STOP_TIMEOUT: '5s',
    HIVEBUS_TRACES: '0.01',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
  });
  expect(config).toMatchObject({ nats: ['nats://a:4222', 'tls://b'], grpcPort: 0, stopMs: 5000, traces: 0.01 });
});

test.each([
  ['0', 'off'],
  ['1', 'always'],
  ['always', 'always'],
  ['.5', 0.5],
])('HIVEBUS_TRACES=%s', (text, traces) => {
  expect(read({ HIVEBUS_TRACES: text, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }).traces).toBe(traces);
});

test('traces are on by default where there is a collector', () => {
  const collector = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' };
  expect(read(collector).traces).toBe('always');
  expect(read({ ...collector, HIVEBUS_TRACES: '0.1' }).traces).toBe(0.1);
  expect(read({ ...collector, OTEL_TRACES_EXPORTER: 'none' }).traces).toBe('off');
  expect(readConfig({}, { grpcPort: 1, traces: 'always' }).traces).toBe('always');
  expect(faultOf({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http' }).message).toContain('must be one of http/protobuf');
});

test.each([
  ['1000', 1000],
  ['64KiB', 65_536],
  ['1GiB', 2 ** 30],
])('HIVEBUS_TRACE_BYTES=%s', (text, maxSpanBytes) => {
  expect(read({ HIVEBUS_TRACE_BYTES: text })).toMatchObject({ maxSpanBytes, maxSpans: 50_000 });
  expect(faultOf({ HIVEBUS_TRACE_BYTES: `${text}x` }).message).toContain('must be a number of bytes');
});

test('all faults are told at once, with value and rule, and nothing becomes the default in silence', () => {
  const error = faultOf({
    HIVEBUS_GRPC_PORT: '77o1',
    HIVEBUS_REPLICAS: '9',
    HIVEBUS_TRACES: '2',
    HIVEBUS_NATS: 'http://x',
    HIVEBUS_STOP_TIMEOUT: '10',
    HIVEBUS_LOG: 'loud',
  });
  expect(error.code).toBe('INVALID_ARGUMENT');
  expect(error.violations.map((violation) => violation.field).sort()).toEqual([
    'HIVEBUS_GRPC_PORT',
    'HIVEBUS_LOG',
    'HIVEBUS_NATS',
    'HIVEBUS_REPLICAS',
    'HIVEBUS_STOP_TIMEOUT',
    'HIVEBUS_TRACES',
  ]);
  expect(error.message).toContain('HIVEBUS_GRPC_PORT: "77o1" must be a port, 0 to 65535');
});

test('a misspelt variable is told with the nearest name; those that others read are known', () => {
  expect(faultOf({ HIVEBUS_GRPC_PROT: '1' }).message).toContain('did you mean HIVEBUS_GRPC_PORT?');
  expect(faultOf({ HIVEBUS_XYZZYQWERTYUIOP: '1' }).message).not.toContain('did you mean');
  expect(faultOf({ HIVEBUS_FOO: '1' }).message).not.toContain('did you mean');
  expect(read({ HIVEBUS_TASK_ID: 't1', HIVEBUS_NATS_SERVER: '/bin/x' }).log).toBe('info');
  const kept = {
    HIVEBUS_CHECKPOINT: '1',
    HIVEBUS_CHECKPOINT_FD: '3',
    HIVEBUS_ARTEFACTS: '/a',
    HIVEBUS_VOLUME_WORK: '/w',
  };
  expect(read(kept).log).toBe('info');
});

test('how to log in is told by files; half a way, or two ways, are refused', () => {
  const access = { user: 'ann', passwordFile: '/run/secrets/pw', caFile: '/ca.pem' };
  const env = {
    HIVEBUS_NATS_USER: 'ann',
    HIVEBUS_NATS_PASSWORD_FILE: '/run/secrets/pw',
    HIVEBUS_NATS_CA_FILE: '/ca.pem',
  };
  expect(read(env).busAccess).toMatchObject(access);
  const error = faultOf({ ...env, HIVEBUS_NATS_TOKEN_FILE: '/token', HIVEBUS_NATS_KEY_FILE: '/key' });
  expect(error.message).toContain('HIVEBUS_NATS_KEY_FILE: "/key" needs HIVEBUS_NATS_CERT_FILE');
  expect(error.message).toContain('HIVEBUS_NATS_USER: "ann" must be the only way to log in');
  expect(faultOf({ HIVEBUS_NATS_PASSWORD: 'x' }).message).toContain('did you mean HIVEBUS_NATS_PASSWORD_FILE?');
});

test('a password in an address is refused and not repeated', () => {
  const { message } = faultOf({ HIVEBUS_NATS: 'nats://ann:secret@a:4222,nats://b' });
  expect(message).toContain('without user and password');
  expect(message).not.toContain('secret');
});

function faultOf(env: NodeJS.ProcessEnv): HiveError {
  try {
    read(env);
  } catch (error) {
    if (error instanceof HiveError) return error;
  }
  throw new Error('was not refused');
}

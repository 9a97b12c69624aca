// examples/observe: what an SDK of OpenTelemetry gets of the calls, and the picture of it.

import { join } from 'node:path'
import { SpanStatusCode } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { atomicWrite } from '@pipeline/atomic'
import { expect } from 'vitest'
import { observe } from '../../examples/observe/main'
import { exportCalls } from '../../examples/observe/telemetry'
import { test } from '../helpers/test'

test('each call is a span, with its path, its steps and its error', async ({ dir }) => {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const stop = exportCalls(provider.getTracer('test'))
  await atomicWrite(join(dir, 'file'), 'x')
  await atomicWrite(dir, 'x').catch(() => {})
  stop()
  await atomicWrite(join(dir, 'unheard'), 'x')
  const [written, failed, ...others] = exporter.getFinishedSpans()
  expect(others).toStrictEqual([])
  expect(written).toMatchObject({ name: 'atomicWrite', status: { code: SpanStatusCode.UNSET } })
  expect(written?.attributes).toMatchObject({
    'file.path': join(dir, 'file'),
    'atomic.step.fsync': expect.any(Number),
    'atomic.step.directoryFsync': expect.any(Number),
  })
  expect(failed).toMatchObject({ name: 'atomicWrite', status: { code: SpanStatusCode.ERROR } })
  expect(failed?.attributes).toMatchObject({ 'file.path': dir, 'error.type': 'EISDIR' })
})

test('the demo draws how long calls took, and where the time went', async ({ dir }) => {
  const picture = await observe(dir, 3)
  for (const title of ['atomicWrite: 3', 'atomicIndexUpdate: 3', 'atomicWriteAll: 1']) {
    expect(picture).toContain(title)
  }
  expect(picture.filter((line) => /^ +≤ [\d.]+ ms █+/.test(line)).length).toBeGreaterThan(3)
  expect(picture.filter((line) => /^ +fsync .* \d+ %$/.test(line))).toHaveLength(3)
  const waits = picture.findIndex((line) => line.startsWith('waits for locks: '))
  expect(picture.slice(waits).filter((line) => /ms █/.test(line))).not.toHaveLength(0)
})

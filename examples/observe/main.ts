/**
 * Writes files and an index, has OpenTelemetry's SDK collect a span of each call, and draws how long they took and where
 * the time went. `npm run demo:observe`.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { atomicIndexUpdate, atomicWrite, atomicWriteAll, stats } from '@pipeline/atomic'
import { drawHistogram, drawShares, histogramOf } from './histogram'
import { exportCalls } from './telemetry'

/** What a program does that is observed. */
async function work(folder: string, pages: number): Promise<void> {
  const names = Array.from({ length: pages }, (_, page) => `page-${page}`)
  for (const name of names) {
    await atomicWrite(join(folder, `${name}.html`), `<h1>${name}</h1>`)
  }
  await Promise.all(
    names.map((name) =>
      atomicIndexUpdate(join(folder, 'index.json'), (index) => ({ ...index, [name]: name.length }), {
        initial: {},
      }),
    ),
  )
  await atomicWriteAll(names.map((name) => ({ path: join(folder, 'feed', name), data: name })))
}

const milliseconds = ({ duration: [seconds, nanoseconds] }: ReadableSpan) => seconds * 1e3 + nanoseconds / 1e6

/** The time of each step in all spans. */
function stepsOf(spans: ReadableSpan[]): Map<string, number> {
  const times = new Map<string, number>()
  for (const [key, took] of spans.flatMap(({ attributes }) => Object.entries(attributes))) {
    const [, step] = /^atomic\.step\.(.*)$/.exec(key) ?? []
    if (step !== undefined) times.set(step, (times.get(step) ?? 0) + Number(took))
  }
  return times
}

/** Returns the picture, line by line. */
export async function observe(folder: string, pages: number): Promise<string[]> {
  // Where a service would have an exporter to its collector.
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const stop = exportCalls(provider.getTracer('@pipeline/atomic'))
  try {
    await work(folder, pages)
  } finally {
    stop()
  }
  const spans = exporter.getFinishedSpans()
  const pictures = [...new Set(spans.map(({ name }) => name))].flatMap((name) => {
    const own = spans.filter((span) => span.name === name)
    return [
      ...drawHistogram(name, histogramOf(own.map(milliseconds))),
      ...drawShares('of that', stepsOf(own)).map((line) => `  ${line}`),
      '',
    ]
  })
  await provider.shutdown()
  return [...pictures, ...drawHistogram('waits for locks', stats().lockWaits)]
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'atomic-observe-'))
  try {
    console.log((await observe(folder, 200)).join('\n'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

if (require.main === module) void main()

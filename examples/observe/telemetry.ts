// A span for each call of the package, by whatever tracer a program has.

import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { type Attributes, type Span, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import type { TraceMessage } from '@pipeline/atomic'

const NAMES = ['write', 'update', 'batch', 'directory', 'transaction', 'append', 'lock', 'recover']

/** Exports the calls of this thread. Returns the function that ends that. */
export function exportCalls(tracer: Tracer): () => void {
  // A call that was made before has no span, and gets none.
  const spans = new WeakMap<TraceMessage, Span>()
  const subscribers: TracingChannelSubscribers<TraceMessage> = {
    start(message) {
      const { function: name, path } = message
      const attributes = path === undefined ? {} : { 'file.path': String(path) }
      // In the caller's context: the span of what has called is the parent.
      spans.set(message, tracer.startSpan(name, { attributes }))
    },
    error(message) {
      const span = spans.get(message)
      const { error } = message
      span?.recordException(error instanceof Error ? error : String(error))
      span?.setStatus({ code: SpanStatusCode.ERROR })
      if (error instanceof Error && 'code' in error) span?.setAttribute('error.type', String(error.code))
    },
    asyncEnd(message) {
      const span = spans.get(message)
      span?.setAttributes(stepsOf(message))
      span?.end()
    },
    end() {},
    asyncStart() {},
  }
  const channels = NAMES.map((name) => tracingChannel<unknown, TraceMessage>(`@pipeline/atomic:${name}`))
  for (const channel of channels) channel.subscribe(subscribers)
  return () => {
    for (const channel of channels) channel.unsubscribe(subscribers)
  }
}

function stepsOf({ steps = {} }: TraceMessage): Attributes {
  return Object.fromEntries(
    Object.entries<number>({ ...steps }).map(([step, took]) => [`atomic.step.${step}`, took]),
  )
}

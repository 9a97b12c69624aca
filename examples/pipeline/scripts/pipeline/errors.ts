/**
 * The publisher's errors. The error of the addon or the system is kept as `cause`. The code tells the caller what to
 * do: fix the document, recover the index, or try again.
 */

import type { FailureKind } from '../../lib/content/types'

export type PublishErrorCode =
  | 'VALIDATION_ERROR'
  | 'INVALID_JSON'
  | 'WRITE_VERIFICATION_ERROR'
  | 'INDEX_WRITE_VERIFICATION_ERROR'
  | 'INVALID_INDEX_UPDATE'
  | 'SLUG_TOPICKEY_CONFLICT'
  | 'PUBLISH_FAILED'

/** What was being written. It decides the code of a failed verification and the field of the metrics. */
export type Target = 'document' | 'index'

export class PublishError extends Error {
  override readonly name = 'PublishError'
  readonly code: PublishErrorCode
  readonly target?: Target

  constructor(message: string, code: PublishErrorCode, options: { cause?: unknown; target?: Target } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    if (options.target) this.target = options.target
  }
}

function codeOf(error: unknown, target: Target): PublishErrorCode {
  switch ((error as { code?: unknown } | null)?.code) {
    case 'ERR_ATOMIC_VERIFY':
      return target === 'document' ? 'WRITE_VERIFICATION_ERROR' : 'INDEX_WRITE_VERIFICATION_ERROR'
    case 'ERR_INVALID_RETURN_VALUE':
      return 'INVALID_INDEX_UPDATE'
    case 'ERR_ATOMIC_CORRUPT_INDEX':
    case 'ERR_ATOMIC_SCHEMA':
      return 'INVALID_JSON'
    // The patch is made for an index of another shape.
    case 'ERR_ATOMIC_PATCH':
      return 'INVALID_JSON'
    default:
      return 'PUBLISH_FAILED'
  }
}

/** Wraps an error. A `PublishError`, thrown by an update function, is returned as it is. */
export function asPublishError(error: unknown, target: Target): PublishError {
  if (error instanceof PublishError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new PublishError(message, codeOf(error, target), { cause: error, target })
}

/** The field of `publish-metrics.json` in which a failure is counted. */
export function failureKind(error: PublishError): FailureKind {
  switch (error.code) {
    case 'VALIDATION_ERROR':
    case 'SLUG_TOPICKEY_CONFLICT':
      return 'validation'
    case 'WRITE_VERIFICATION_ERROR':
      return 'write'
    case 'INVALID_JSON':
    case 'INVALID_INDEX_UPDATE':
    case 'INDEX_WRITE_VERIFICATION_ERROR':
      return 'indexUpdate'
    case 'PUBLISH_FAILED':
      return error.target === 'document' ? 'write' : error.target === 'index' ? 'indexUpdate' : 'other'
  }
}

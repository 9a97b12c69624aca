// What a client notes of a call, and what files say.

/** What a file says, as far as it counts here: an id, or the ids in the log of an index; `null` if there is none. */
export type Content = string | null

/** Of one call. Times are those of the clock that all processes have. */
export interface Noted {
  id: string
  start: number
  /** When the call itself was made, and had returned. */
  call?: number
  called?: number
  end?: number
  error?: {
    name: string
    code: string | undefined
    message: string
    committed: boolean
    stack: string | undefined
  }
  written?: boolean | undefined
  removed?: boolean | undefined
  /** The content that a read, or the function of an update, was given last. */
  saw?: Content | undefined
  sawAll?: Content[] | undefined
  sawEach?: Record<string, Content> | undefined
}

export function isIndex(file: string): boolean {
  return file.endsWith('.json')
}

export function idsIn(index: { log?: string[] } | undefined): Content {
  return index?.log?.join(' ') ?? null
}

export function said(file: string, text: string): Content {
  return isIndex(file) ? idsIn(JSON.parse(text)) : text.trim()
}

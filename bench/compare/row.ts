// A row of the table: something that goes wrong, and what each contender makes of it.

export interface Cell {
  /** What was seen, in the few words that fit into a table. */
  seen: string
  /** Nothing was lost, damaged or left behind. */
  good: boolean
  /** None where nothing was counted. */
  counts?: Counts
}

export interface Counts {
  /** How many tries there were. */
  of: number
  /** A file was empty, cut off, a mixture, or gone. */
  torn: number
  /** A write or an update whose promise had resolved was not there later. */
  lost: number
  /** A promise resolved and the bytes were not there. */
  falseSuccess: number
  /** A call did not succeed within `PATIENCE_MS`, though nothing was wrong any more. */
  stuck: number
  /** A call was rejected though nothing was wrong with the disk. */
  failed: number
  /** Files that were left beside the target. */
  left: number
}

export interface Row {
  /** What happens. */
  when: string
  /** How it is made to happen, and what is looked at. */
  method: string
  /** What has to be here for it and is not; `folder` is empty. */
  needs?(folder: string): string | undefined
  look(contender: string, place: Place): Promise<Cell>
}

export interface Place {
  /** An empty folder that no other cell uses. */
  folder: string
  /** Fewer rounds: seconds, not a minute. */
  quick: boolean
}

/** How long a call may take with nobody else at work. */
export const PATIENCE_MS = 2000

type Found = Partial<Record<keyof Omit<Counts, 'of'>, boolean | number>>

/** Counts what went wrong in many tries. */
export class Tally {
  private readonly counts: Counts = {
    of: 0,
    torn: 0,
    lost: 0,
    falseSuccess: 0,
    stuck: 0,
    failed: 0,
    left: 0,
  }

  add(found: Found, tries = 1): void {
    this.counts.of += tries
    for (const [kind, times] of Object.entries(found)) this.counts[kind as keyof Found] += Number(times)
  }

  get cell(): Cell {
    const { of, left, ...kinds } = this.counts
    const bad = Object.entries(kinds).filter(([, times]) => times > 0)
    const seen = bad.map(([kind, times]) => `${label(kind)} ${times}/${of}`)
    if (seen.length === 0) seen.push(`intact ${of}/${of}`)
    if (left > 0) seen.push(`${left} temp file${left > 1 ? 's' : ''} left`)
    return { seen: seen.join(', '), good: bad.length === 0 && left === 0, counts: this.counts }
  }
}

/** `falseSuccess` in words. */
export const label = (kind: string) => kind.replace(/[A-Z]/, (letter) => ` ${letter.toLowerCase()}`)
